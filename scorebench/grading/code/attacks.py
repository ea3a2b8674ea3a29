"""Programs that must not pass: the tricks of tests/exploits, one file each, fitted to the function of a problem.

The package carries them in the folder exploits beside this file (a link to the tests' folder), so that `scorebench
validate` tries on a user's machine what the tests try here. They are read as text and never imported: they are hostile.
"""

from __future__ import annotations

import functools
import re
from importlib.resources import files


def tricks_on(entry_point: str) -> dict[str, str]:
    """Every trick by its name, written as an answer to a problem that asks for a function of this name.

    A trick defines solution(x); here it takes whatever arguments the problem's tests have, so that it is really called.
    """
    signature = f"def {entry_point}(x=None, *_more, **_named)"
    fitted = {}
    for name, text in _texts().items():
        called = text.replace("def solution(x)", signature)
        fitted[name] = re.sub(r"\bsolution\b", entry_point, called)
    return fitted


def idle_program(entry_point: str) -> str:
    """A function of this name that takes anything and does nothing."""
    return f"def {entry_point}(*_, **__):\n    pass\n"


@functools.cache
def _texts() -> dict[str, str]:
    folder = files("scorebench.grading.code") / "exploits"
    programs = (file for file in folder.iterdir() if file.name.endswith(".py"))
    tricks = (file for file in programs if not file.name.startswith(("__init__", "test_")))
    return {file.name.removesuffix(".py"): file.read_text(encoding="utf-8") for file in sorted(tricks, key=str)}
