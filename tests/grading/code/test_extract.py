"""The program in a reply: that of the blocks which defines what is tested, whatever stands around it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scorebench.grading.code.extract import program_of, read_completion, read_program

R = "def add_all(values):\n    return sum(values)\n"
DOCUMENTED = 'def f():\n    """\n    ```\n    """\n    return 1\n'
PROMPT = (
    "from typing import List\n\n\ndef add_all(values: List[int]) -> int:\n"
    '    """ Add the numbers.\n    >>> add_all([1, 2])\n    3\n    """\n'
)


def is_right(program: str) -> bool:
    names: dict[str, Any] = {}
    exec(compile(program, "<program>", "exec", dont_inherit=True), names)
    return names["add_all"]([1, 2]) == 3 and names["add_all"]([]) == 0


# All of them answer rightly: with a whole program, or with the body of the function of PROMPT.
REPLIES = [json.loads(line) for line in Path(__file__).with_name("replies.jsonl").read_text().splitlines()]


def those(kind: str) -> pytest.MarkDecorator:
    chosen = [reply for reply in REPLIES if reply["kind"] == kind]
    return pytest.mark.parametrize("reply", chosen, ids=lambda reply: reply["note"])


@those("whole")
def test_the_program_of_a_reply(reply: dict[str, str]):
    found = read_program(reply["reply"], ["add_all"])
    assert is_right(found.program)
    assert found.reading == reply.get("reading", found.reading) != "none"
    assert is_right(read_completion(reply["reply"], PROMPT, "add_all").program)


@those("body")
def test_the_program_of_a_body(reply: dict[str, str]):
    found = read_completion(reply["reply"], PROMPT, "add_all")
    assert is_right(found.program)
    assert found.reading == ("stated" if "def add_all(" in reply["reply"] else "loose")


@pytest.mark.parametrize(
    "reply",
    ["", "  \n\n", "42", "Sorry, I cannot do this.", "It is easy.\nUse sum.", f"<think>\n```python\n{R}```\nWait"],
)
def test_replies_without_a_program(reply: str):
    assert read_program(reply, ["add_all"]).reading == "none"
    assert read_completion(reply, PROMPT, "add_all").reading == "none"


@pytest.mark.parametrize(
    "reply",
    [
        f"```python\nclass Solution:\n    {R}```".replace("\n    return", "\n        return"),
        "```python\nprint(add_all([1, 2]))\n```",
        "```python\ndef other(values):\n    return sum(values)\n```",
        f"```python\n{R.replace('(values):', '(values:')}```",
        f"{R}\ndef helper(:\n    pass\n\nprint(1)\n",
        f"```python\n{R}\nvalues = list(map(int, input().split()))\n```",
    ],
    ids=["a method", "usage", "another name", "no Python", "a mistake in a helper", "input at the module's level"],
)
def test_programs_that_are_wrong_are_not_mended(reply: str):
    found = read_program(reply, ["add_all"])
    assert found.reading != "none"
    with pytest.raises((SyntaxError, KeyError, NameError, EOFError, OSError)):
        is_right(found.program)


@pytest.mark.parametrize("program", [R, DOCUMENTED, "class A:\n    pass\n\nx = '[BEGIN]'\n"])
def test_a_program_alone_is_left_as_it_is(program: str):
    forms = ("{}", "```python\n{}```", "[BEGIN]\n{}[DONE]", "<think>\nhm\n</think>\n{}")
    for reply in (form.format(program) for form in forms):
        assert program_of(reply) == program


def test_imports_of_other_blocks_come_first_and_their_examples_do_not_come():
    program = "def f(x):\n    return math.floor(x)\n"
    reply = f"```python\nimport math\nprint(input())\n```\n```python\n{program}```\n```python\n{R}```"
    assert read_program(reply, ["f"]).program == "import math\n" + program


@pytest.mark.parametrize(
    "reply",
    [
        "```" * 50_000,
        "```python\n" * 20_000,
        "[BEGIN]" * 50_000,
        " \n" * 200_000,
        '"""\n' * 20_000,
        "(" * 50_000,
        "x" + ".a" * 20_000,
        "-" * 49_000 + "1",
        "```python\ndef f(x): return x\n```\n" * 3_000,
        "a b\n   c d\n" * 9_000,
        "def f(\n" * 14_000,
        "`def a" * 20_000,
        "\0",
        "\ud800 = 1",
    ],
)
def test_hostile_replies_are_read(reply: str):
    assert isinstance(read_program(reply, ["f"]).program, str)
    assert isinstance(read_completion(reply, PROMPT, "add_all").program, str)
