"""Answers that stand word for word in the problem: how they are flagged, and how many problems of MATH they pass."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from scorebench.api.protocols import Source
from scorebench.api.types import Problem
from scorebench.grading.math.grader import same_answer
from scorebench.tasks import math
from tests.hub import real_data

SIMPLIFY = Problem("p", r"Simplify $\frac{10}{4}$, for a change of $2.75$.", r"\frac{5}{2}")


@pytest.mark.parametrize(
    ("answer", "passes", "echo"),
    [
        (r"\frac{10}{4}", True, True),
        (r"\frac {10} {4}", True, True),  # spaces do not count
        (r"\frac{5}{2}", True, False),  # the reference
        ("2.5", True, False),  # a value of its own
        ("2.75", False, True),  # wrong, and copied
        ("75", False, False),  # a part of a number
        ("hang", False, False),  # a part of a word
        ("7", False, False),
    ],
)
def test_an_answer_that_stands_in_the_problem_is_an_echo(answer: str, passes: bool, echo: bool) -> None:
    verdict = math.task.grade(SIMPLIFY, math.stated(answer))
    assert (verdict.passed, verdict.echo) == (passes, echo)


def test_where_the_reference_stands_in_the_problem_too_nothing_is_an_echo() -> None:
    problem = Problem("p", "Which is larger, $3$ or $5$?", "5")
    assert not math.task.grade(problem, math.stated("5")).echo
    assert not math.task.grade(problem, math.stated("3")).echo


def test_no_reply_without_an_answer_is_an_echo() -> None:
    assert not math.task.grade(SIMPLIFY, "I do not know").echo


def test_the_problems_of_math500_that_a_copied_formula_passes_are_nearly_all_flagged() -> None:
    """The figures of docs/metrics.md; pytest -rP prints them. The others name the reference in their text too."""
    problems = math.task.load("test", Source("folder", real_data())).problems
    formula_in = re.compile(r"\$([^$]+)\$|\\\[(.+?)\\\]", re.DOTALL)
    copies = [(p, a or b) for p in problems for a, b in dict.fromkeys(formula_in.findall(p.text))]
    with ThreadPoolExecutor(2) as threads:
        passed = list(threads.map(lambda copy: same_answer(copy[0].reference, copy[1]).passed, copies))
    passing = [copy for copy, right in zip(copies, passed, strict=True) if right]
    flagged = {p.id for p, formula in passing if math.task.grade(p, math.stated(formula)).echo}
    print(f"{len({p.id for p, _ in passing})} of {len(problems)} problems passed, {len(flagged)} of them flagged")
    assert (len({p.id for p, _ in passing}), len(flagged)) == (48, 41)
