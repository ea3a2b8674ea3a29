"""A table cannot be bettered by errors: wrong replies that escape their verdict would leave the denominator."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scorebench.api.types import Attempt, Episode, Problem, Reply
from scorebench.grading.code.attacks import tricks_on
from scorebench.statistics.metrics import accuracy, outcomes
from scorebench.tasks import humaneval, mbpp

# One of every kind that has got an error, a wait without end or a dead grader out of some harness.
ESCAPES = [
    "exception_huge_int",
    "key_of_huge_int",
    "os_error_huge_int",
    "forged_unicode_error",
    "megabytes_of_class_name",
    "realtime_signal",
    "lone_surrogates",
    "forged_callbacks",
    "forged_references",
    "forged_contents",
    "deep_exception",
    "deep_answer",
    "doubling_lists",
    "closed_line",
    "urgent_data",
    "many_threads",
    "lying_exception",
    "named_like_ours",
    "number_by_operators",
    "os_exit_in_call",
]
PROBLEMS = Path(__file__).with_name("case_problems.json")


@pytest.mark.parametrize("task", [humaneval.task, mbpp.task], ids=lambda task: task.name)
def test_twenty_wrong_replies_are_nought_of_twenty(task: humaneval.HumanEval | mbpp.Mbpp):
    assert len(ESCAPES) == 20
    problem = Problem(**json.loads(PROBLEMS.read_text(encoding="utf-8"))[task.name])
    tricks = tricks_on("add_all")

    def episode(name: str) -> Episode:
        text = f"```python\n{tricks[name]}```\n"
        return Episode(name, 0, (Attempt(Reply(text), task.grade(problem, text)),))

    with ThreadPoolExecutor(2) as threads:
        episodes = list(threads.map(episode, ESCAPES))
    assert {episode.attempts[0].verdict.outcome for episode in episodes} == {"fail"}
    assert {episode.attempts[0].verdict.reading for episode in episodes} == {"stated"}
    run = outcomes(episodes)
    assert (accuracy(run, 1).value, run.n, run.errors) == (0.0, 20, 0)
