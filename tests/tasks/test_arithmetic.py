"""Arithmetic: generated, always the same, disjoint; its difficulty is part of what a run is."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest

from scorebench.api.errors import UserError
from scorebench.api.protocols import Source, Split
from scorebench.api.types import Problem
from scorebench.dialogue.identity import task_identity
from scorebench.evaluation.tasks import task_in, task_of

HUB = Source("hub")


def task(difficulty: int) -> Any:
    return task_of("arithmetic", {"difficulty": difficulty})


def calculated(problem: Problem) -> tuple[Any, ...]:
    """What a problem calculates, read from its text by other means than its solution: numbers and operations."""
    text = problem.text
    if problem.tags["form"] == "words":
        text = text.replace("Start with ", "").replace(", then add ", " + ").replace(", then multiply by ", " * ")
    return tuple(re.findall(r"\d+|[+*]", text))


def result(problem: Problem) -> int:
    first, *rest = calculated(problem)
    value = int(first)
    for sign, number in zip(rest[::2], rest[1::2], strict=True):
        value = value + int(number) if sign == "+" else value * int(number)
    return value


@pytest.mark.parametrize("difficulty", range(1, 7))
def test_problems_are_right_and_the_splits_disjoint(difficulty: int) -> None:
    splits: dict[Split, Any] = {split: task(difficulty).load(split, HUB).problems for split in get_args(Split)}
    assert {split: len(problems) for split, problems in splits.items()} == {
        "train": 3000,
        "validation": 200,
        "test": 500,
    }
    seen: set[Any] = set()
    for problems in splits.values():
        sums = {tuple(sorted(calculated(p))) for p in problems if not p.tags["products"]}
        assert not sums & seen, "a sum in another order is in another split"
        seen |= sums
        assert len({calculated(p) for p in problems}) == len(problems)
        assert all(str(result(p)) == p.reference for p in problems)
        assert all(len(calculated(p)) == 2 * difficulty + 1 for p in problems)
        assert all(eval(p.text[8:-1]) == int(p.reference) for p in problems if p.tags["form"] == "signs")
    assert splits["test"] == task(difficulty).load("test", HUB).problems


def test_solutions_show_every_step_and_pass() -> None:
    made = task(3)
    for problem in made.load("test", HUB).problems[:4]:
        solution = made.solution(problem)
        assert solution.count(" = ") == 3
        assert made.grade(problem, solution).passed
        assert not made.grade(problem, solution.replace(problem.reference, problem.reference + "0")).passed
        assert made.answer_form in made.first_prompt(problem)[0]["content"]


def test_the_difficulty_is_part_of_what_a_run_is() -> None:
    assert task_identity(task(2)) == task_identity(task_of("arithmetic"))
    assert task_identity(task(3)) != task_identity(task(2))
    assert task_in({"task": task_identity(task(3))}) == task(3)
    assert {p.id for p in task(3).load("test", HUB).problems}.isdisjoint(
        p.id for p in task(2).load("test", HUB).problems
    )


@pytest.mark.parametrize(
    ("name", "args", "says"),
    [
        ("arithmetic", {"difficulty": "7"}, "difficulty is wrong"),
        ("arithmetic", {"difficulty": "hard"}, "difficulty is wrong"),
        ("arithmetic", {"dificulty": "3"}, "knows no 'dificulty'; it takes difficulty"),
        ("arithmetic", {"reading": "strict"}, "knows no 'reading'"),
        ("mbpp", {"difficulty": "3"}, "it takes none"),
    ],
)
def test_an_argument_that_a_task_does_not_take_is_one_sentence(name: str, args: dict[str, str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        task_of(name, args)


def test_a_reading_that_a_task_does_not_have_is_one_sentence() -> None:
    assert task_of("math", reading="strict") != task_of("math")
    assert task_in({"task": {"name": "math"}, "reading": "strict"}) == task_of("math", reading="strict")
    with pytest.raises(UserError, match="leave the flag out"):
        task_of("mbpp", reading="strict")


def test_generated_problems_are_not_read_from_a_folder() -> None:
    with pytest.raises(UserError, match="leave --data out"):
        task(2).load("test", Source("folder"))
