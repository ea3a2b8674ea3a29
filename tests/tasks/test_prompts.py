"""Prompts are pinned: whoever changes one changes the version of its task here and there."""

from __future__ import annotations

import hashlib
import json

import pytest

from scorebench.api.protocols import Task
from scorebench.api.types import Problem
from scorebench.tasks import arithmetic, gsm8k, humaneval, math, mbpp, mbpp_r

SHOT = {"text": "Add two numbers.", "tests": ("assert add(1, 2) == 3",), "gold": "def add(a, b):\n    return a + b"}
MBPP_PROBLEM = Problem(
    id="MBPP/11",
    text="Halve a {number}.",
    reference={"tests": ("assert half(4) == 2", "assert half(2) == 1"), "setup": "", "gold": "", "shots": (SHOT, SHOT)},
)
HUMAN_EVAL_PROBLEM = Problem(id="HumanEval/0", text='def one():\n    """Gives {1}."""\n', reference={})
PINNED = [
    (math.task, Problem("test/a/1.json", "What is $1+1$?", "2"), "2", "449fe1f69000fdae"),
    (mbpp.task, MBPP_PROBLEM, "2", "ed8bf87475bc6241"),
    (mbpp_r.task, MBPP_PROBLEM, "2", "ed8bf87475bc6241"),
    (gsm8k.task, Problem("test/a/1.json", "What is $1+1$?", "2"), "1", "449fe1f69000fdae"),
    (arithmetic.task, Problem("2/test/0001", "What is 12 + 3 + 4?", "19"), "1", "8e64821a23e0a0ac"),
    (humaneval.task, HUMAN_EVAL_PROBLEM, "2", "33db144ccfe9143e"),
]


@pytest.mark.parametrize(("task", "problem", "version", "digest"), PINNED, ids=lambda value: getattr(value, "name", ""))
def test_a_prompt_changes_only_with_the_version(task: Task, problem: Problem, version: str, digest: str) -> None:
    whole = json.dumps([task.first_prompt(problem), task.correction, task.answer_form])
    assert (task.version, hashlib.sha256(whole.encode()).hexdigest()[:16]) == (version, digest)


def test_the_mbpp_prompt_is_the_paper_s_form_word_for_word() -> None:
    [message] = mbpp.task.first_prompt(MBPP_PROBLEM)
    shot = (
        "You are an expert Python programmer, and here is your task: Add two numbers. "
        "Your code should pass these tests:\n\nassert add(1, 2) == 3\n[BEGIN]\n"
        "def add(a, b):\n    return a + b\n[DONE]\n\n"
    )
    asked = (
        "You are an expert Python programmer, and here is your task: Halve a {number}. "
        "Your code should pass these tests:\n\nassert half(4) == 2\nassert half(2) == 1\n[BEGIN]\n"
    )
    assert message == {"role": "user", "content": shot + shot + asked}


def test_the_humaneval_prompt_shows_no_test() -> None:
    problem = Problem("x", "def one():\n", {"tests": "def check(candidate): SECRET", "gold": "SECRET"})
    assert "SECRET" not in humaneval.task.first_prompt(problem)[0]["content"]
