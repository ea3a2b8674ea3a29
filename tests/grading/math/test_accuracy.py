"""A table of math cannot be bettered by errors: answers made to hang, to swell or to break stay in the denominator."""

from __future__ import annotations

import pytest

from scorebench.api.types import Attempt, Episode, Problem, Reply
from scorebench.grading.math import grader
from scorebench.statistics.metrics import accuracy, outcomes
from scorebench.tasks import math

from . import pool_functions

# One of every kind that has got an error, a wait without end or a dead worker out of some grader.
ESCAPES = [
    "9^{9^{9^{9}}}", "2^{10^{10}}", "1e999999999", "9" * 100_000, "10000000!", "((((5!)!)!)!)!",
    r"\binom{10000000}{5000000}", "(" * 24 + "x" + ")^{9}" * 24, r"\frac{1}{" * 100 + "2" + "}" * 100,
    r"\frac{0}{0}", r"\frac{1}{", "}{", r"\sum_{n=1}^{9999} n!", r"\sum_{k=1}^{2015} k\cdot k!",
    "__import__('os').system('touch pwned')", r"\text{" * 1_000, "\ud800", "\0", "not $x^2+1$",
    r"x^2+1 \text{ or maybe } 6",
]  # fmt: skip
PROBLEM = Problem("p", "What is it?", "x^2+1")


def graded(answers: list[str]) -> list[Episode]:
    replies = [rf"Final Answer: The final answer is ${answer}$. I hope it is correct." for answer in answers]
    return [
        Episode(str(n), 0, (Attempt(Reply(reply), math.task.grade(PROBLEM, reply)),)) for n, reply in enumerate(replies)
    ]


def test_twenty_wrong_replies_are_nought_of_twenty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grader, "SECONDS", 0.2)
    monkeypatch.setattr(grader, "LONGER_SECONDS", 0.6)
    assert len(set(ESCAPES)) == 20
    episodes = graded(ESCAPES)
    assert {episode.attempts[0].verdict.outcome for episode in episodes} == {"fail"}
    run = outcomes(episodes)
    assert (accuracy(run, 1).value, run.n, run.errors) == (0.0, 20, 0)


def test_an_answer_that_kills_its_worker_stays_in_the_denominator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grader, "compare_in_worker", pool_functions.die_of_seventeen)
    run = outcomes(graded(["17+x^2", "1+x^2"]))
    assert (run.n, run.errors) == (2, 0)
