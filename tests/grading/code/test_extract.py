"""The program in a reply."""

from __future__ import annotations

import pytest

from scorebench.grading.code.grader import program_of

FIRST, SECOND = "def f(x):\n    return x\n", "def f(x):\n    return x + 1\n"

QUOTING = 'def f():\n    """\n    ```\n    """\n    return 1\n'


def fenced(program: str, language: str = "python") -> str:
    return f"```{language}\n{program}```\n"


@pytest.mark.parametrize(
    ("reply", "program"),
    [
        (fenced(FIRST), FIRST),
        (f"Here it is:\n\n{fenced(FIRST)}\nIt returns x.", FIRST),
        (f"My program was\n{fenced(FIRST)}\nwhich is wrong. Corrected:\n\n{fenced(SECOND)}", SECOND),
        (f"{fenced(SECOND)}\nIt prints\n{fenced('3', 'text')}", SECOND),
        (fenced("echo 1\n", "bash"), "echo 1\n"),
        (f"{fenced(SECOND)}\nand then\n```python\ndef g(", SECOND),
        (f"```python\n{FIRST}", FIRST),
        (f"~~~\n{FIRST}~~~", FIRST),
        (fenced(FIRST, "Python3"), FIRST),
        (fenced(FIRST).replace("\n", "\r\n"), FIRST),
        (FIRST, FIRST),
        ("    return x\n", "    return x\n"),
        ("\n\n    return x\n\n", "    return x\n"),
        (f"[BEGIN]\n{FIRST}[DONE]", FIRST),
        (f"[BEGIN]\n{FIRST}[DONE]\nNo:\n[BEGIN]\n{SECOND}[DONE]", SECOND),
        (f"\n{FIRST}[DONE]\n\nYou are an expert. [BEGIN]\n{SECOND}[DONE]", FIRST),
        (f"\n{FIRST}[DONE]\n{fenced(SECOND)}", FIRST),
        (f"[BEGIN]\n{fenced(FIRST)}[DONE]", FIRST),
        (f"[BEGIN]\n{FIRST}", FIRST),
        (f"[BEGIN]\n{QUOTING}[DONE]", QUOTING),
        ("", ""),
        ("  \n\n", ""),
    ],
)  # fmt: skip
def test_program_of(reply: str, program: str):
    assert program_of(reply) == program


@pytest.mark.parametrize("reply", ["```" * 50_000, "```python\n" * 20_000, "[BEGIN]" * 50_000, " \n" * 200_000])
def test_hostile_replies_are_read_in_time(reply: str):
    assert isinstance(program_of(reply), str)
