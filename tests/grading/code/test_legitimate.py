"""Programs that people write, with tests that hold for them: each passes here as it does in plain Python."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scorebench.api.types import Verdict
from scorebench.grading.code.grader import grade


def sections() -> dict[str, tuple[str, str]]:
    """name: (program, tests), from the file beside this one."""
    text = Path(__file__).with_name("legitimate.txt").read_text(encoding="utf-8")
    named = [section.partition("\n") for section in text.split("=== ")[1:]]
    return {name: tuple(body.split("---\n", 1)) for name, _, body in named}  # pyright: ignore


PROGRAMS = sections()


@pytest.fixture(scope="module")
def verdicts() -> dict[str, Verdict]:
    """All of them graded, two at a time."""

    def verdict(pair: tuple[str, str]) -> Verdict:
        program, tests = pair
        entry_point = "f" if "def f(" in program else None
        return grade(program, tests, entry_point=entry_point)

    with ThreadPoolExecutor(2) as threads:
        return dict(zip(PROGRAMS, threads.map(verdict, PROGRAMS.values()), strict=True))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_legitimate_program_passes(name: str, verdicts: dict[str, Verdict]):
    if name == "numpy inside":
        pytest.importorskip("numpy")
    verdict = verdicts[name]
    assert (verdict.outcome, verdict.detail) == ("pass", "")


@pytest.mark.parametrize("name", PROGRAMS)
def test_its_tests_are_right_in_plain_python(name: str, monkeypatch: pytest.MonkeyPatch):
    """Else a grader that lets everything pass would pass here."""
    import sys
    from types import ModuleType

    program, tests = PROGRAMS[name]
    module = ModuleType("program")
    monkeypatch.setitem(sys.modules, "program", module)
    monkeypatch.setattr("builtins.input", lambda prompt="": (_ for _ in ()).throw(EOFError()))
    limit = sys.getrecursionlimit()
    try:
        exec(compile(program, "<program>", "exec", dont_inherit=True), module.__dict__)
        exec(compile(tests, "<tests>", "exec", dont_inherit=True), module.__dict__)
    finally:
        sys.setrecursionlimit(limit)


def test_there_are_enough():
    assert len(PROGRAMS) >= 100
