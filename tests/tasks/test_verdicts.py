"""What the tasks hand to the graders, and what they count as one vote."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from scorebench.api.errors import UserError
from scorebench.api.protocols import Source
from scorebench.api.types import Problem, Verdict
from scorebench.grading.code.extract import Found
from scorebench.storage.datasets import read_rows
from scorebench.tasks import humaneval, math, mbpp, mbpp_r
from tests.hub import real_data

ADD = Problem("MBPP/11", "Add.", {"tests": ("assert add(1, 2) == 3",), "setup": "import re", "gold": "", "shots": ()})
ONE = Problem(
    "HumanEval/0", "", {"prompt": "import re\n\ndef one():\n", "entry_point": "one", "tests": "T", "gold": ""}
)


@pytest.fixture
def graded(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """Stands in for the code grader: records what it is given, and passes programs that say RIGHT."""
    calls: list[tuple] = []

    def grade(found: Found, tests: object, setup: str = "", entry_point: str | None = None) -> Verdict:
        calls.append((found.program, tests, setup, entry_point))
        return Verdict("error" if "BROKEN" in found.program else "pass" if "RIGHT" in found.program else "fail")

    module = ModuleType("scorebench.grading.code.grader")
    vars(module).update(grade_found=grade, outputs_key=lambda *shown: None)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return calls


@pytest.mark.parametrize(
    "reply",
    [
        "x = 1\n",
        "x = 1\n[DONE]\nYou are an expert ... [BEGIN]\ny = 2\n[DONE]",
        "Sure!\n[BEGIN]\nx = 1\n[DONE]\n\nYou are an expert",
        "[BEGIN]\n```python\nx = 1\n```\n  [DONE]",
    ],
)
def test_a_program_ends_at_done(graded: list, reply: str) -> None:
    mbpp.task.grade(ADD, reply)
    [(program, tests, setup, entry_point)] = graded
    assert program.strip() == "x = 1"
    assert (tests, setup, entry_point) == (ADD.reference["tests"], "import re", None)


@pytest.mark.parametrize(
    ("reply", "program"),
    [
        ("    return 1\n", "import re\n\ndef one():\n    return 1\n"),
        ("\treturn 1\n[DONE]\nmore", "import re\n\ndef one():\n\treturn 1\n"),
        ("```python\ndef one():\n    return 1\n```", "import re\n\ndef one():\n    return 1\n"),
        ("```python\n    return 1\n```", "import re\n\ndef one():\n    return 1\n"),
    ],
    ids=["a body", "a body with a tab", "a whole program", "a body in a block"],
)
def test_humaneval_takes_whole_programs_and_bodies(graded: list, reply: str, program: str) -> None:
    humaneval.task.grade(ONE, reply)
    assert graded == [(program, "T", "import re\n\n", "one")]


def test_a_megabyte_of_blank_lines_is_no_program(graded: list) -> None:
    mbpp.task.grade(ADD, "\n" * 1_000_000 + " " * 1_000_000)
    [(program, *_)] = graded
    assert not program


def test_where_nothing_can_be_run_programs_that_differ_in_layout_are_one_vote(graded: list) -> None:
    key = mbpp.task.vote_key(ADD, "def f(x):  # twice\n  return(x+x)")
    assert key == mbpp.task.vote_key(ADD, "def f( x ):\n    return x + x\n[DONE]")
    assert key != mbpp.task.vote_key(ADD, "def f(x):\n    return 2 * x")
    assert mbpp.task.vote_key(ADD, "I cannot do this.") is None
    assert mbpp.task.vote_key(ADD, "x = '\0'") is None
    assert mbpp.task.vote_key(ADD, "") is None
    assert mbpp.task.vote_key(ADD, "1 + " * 20_000 + "1") is None
    assert mbpp.task.vote_key(ADD, "(" * 40_000) is None
    assert mbpp.task.vote_key(ADD, "x" + ".y" * 20_000) is None
    longest = "x" + " = 1" * (mbpp.LONGEST_VOTE // 4)
    assert mbpp.task.vote_key(ADD, longest) is None
    assert humaneval.task.vote_key(ONE, "    return 1") == humaneval.task.vote_key(ONE, "    return (1)  # one")


def test_freezing_keeps_the_wrong_programs_in_order(graded: list, tmp_path: Path) -> None:
    given = tmp_path / "samples.jsonl"
    given.write_text(
        '{"task_id": "MBPP/11", "completion": "wrong 1"}\n'
        """{"task_id": 12, "solution": "x = 'RIGHT'"}\n"""
        '{"task_id": "Mbpp/11", "solution": "wrong 2"}\n{"task_id": "602", "solution": "wrong 3"}\n'
        """{"task_id": "13", "solution": "x = 'BROKEN'"}\n"""
    )
    data = Source("folder", real_data())
    (tmp_path / "mbpp.jsonl.gz").write_bytes((real_data() / "mbpp.jsonl.gz").read_bytes())
    out = tmp_path / "mbpp_r.jsonl"
    assert mbpp_r.freeze(read_rows(given, {}), "tiny", out, data) == mbpp_r.Frozen(wrong=3, right=1, errors=1)
    assert [call[1][0] for call in sorted(graded)][-1].startswith("assert")
    test, train = (mbpp_r.task.load(split, Source("folder", tmp_path)).problems for split in ("test", "train"))
    assert [(p.id, p.given) for p in test] == [("MBPP/11/tiny/0", "wrong 1"), ("MBPP/11/tiny/1", "wrong 2")]
    assert [(p.id, p.given) for p in train] == [("MBPP/602/tiny/0", "wrong 3")]


def test_a_repair_set_that_cannot_be_written_is_one_sentence(graded: list, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").mkdir()
    with pytest.raises(UserError, match=r"Cannot write .*out\.jsonl: "):
        mbpp_r.freeze([], "tiny", tmp_path / "out.jsonl", Source("folder", real_data()))
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ('{"task_id": "MBPP/975", "solution": "x"}', r"samples\.jsonl, line 1 has the task_id 'MBPP/975', which MBPP"),
        ('{"task_id": "HumanEval/3", "solution": "x"}', "which MBPP does not"),
        ('{"solution": "x"}', "the task_id None"),
        ('{"task_id": 11}', 'has no program as "completion" or "solution"'),
        ('{"task_id": 11, "completion": null}', "has no program"),
        ('{"task_id": 11, "completion": "\\ud800"}', "has no program"),
    ],
)
def test_freezing_names_a_bad_row_and_writes_nothing(graded: list, tmp_path: Path, row: str, complaint: str) -> None:
    given = tmp_path / "samples.jsonl"
    given.write_text(row)
    with pytest.raises(UserError, match=complaint):
        mbpp_r.freeze(read_rows(given, {}), "tiny", tmp_path / "out.jsonl", Source("folder", real_data()))
    assert not graded
    assert not list(tmp_path.glob("out*"))


# With the real graders ------------------------------------------------------------------------------------------------


def test_gold_passes_and_an_empty_reply_fails() -> None:
    data = Source("folder", real_data())
    for task in (math.task, mbpp.task, humaneval.task, mbpp_r.task):
        for problem in task.load("test", data).problems[:3]:
            assert task.grade(problem, task.gold(problem)).outcome == "pass"
            assert task.grade(problem, "").outcome == "fail"


def test_the_given_programs_of_a_repair_set_fail() -> None:
    for problem in mbpp_r.task.load("test", Source("folder", real_data())).problems[:5]:
        assert problem.given is not None
        assert mbpp_r.task.grade(problem, problem.given).outcome == "fail"


def test_programs_that_agree_on_the_prompt_s_asserts_are_one_vote() -> None:
    key = mbpp.task.vote_key(ADD, "def add(a, b):\n    return a + b")
    assert key == mbpp.task.vote_key(ADD, "Sure!\n[BEGIN]\ndef add(x, y):\n    return sum([y, x])\n[DONE]")
    assert key == mbpp.task.vote_key(ADD, "def add(a, b):\n    return 3")
    assert key != mbpp.task.vote_key(ADD, "def add(a, b):\n    return a - b")


def test_programs_that_agree_on_the_docstring_s_examples_are_one_vote() -> None:
    prompt = 'def twice(x):\n    """Twice.\n\n    >>> twice(2)\n    4\n    >>> twice("a")\n    \'aa\'\n    """\n'
    problem = Problem("p", prompt, {"prompt": prompt, "entry_point": "twice", "tests": "", "gold": ""})
    assert humaneval.examples(problem.reference) == ["twice(2)\n", 'twice("a")\n']
    key = humaneval.task.vote_key(problem, "    return 2 * x")
    assert key == humaneval.task.vote_key(problem, "def twice(y):\n    return y + y")
    assert key != humaneval.task.vote_key(problem, "    return x ** 2")
    malformed = {**problem.reference, "prompt": prompt.replace("    4", "  4")}
    assert humaneval.examples(malformed) == []


def test_the_last_stated_answer_is_the_vote() -> None:
    problem = Problem("p", "?", "5")
    key = math.task.vote_key(problem, r"My \boxed{6} was wrong, it is \boxed{5}")
    assert key == math.task.vote_key(problem, "Final Answer: The final answer is $5.0$. I hope it is correct.")
    assert key != math.task.vote_key(problem, r"\boxed{6}")
    assert math.task.vote_key(problem, "I do not know") is None
