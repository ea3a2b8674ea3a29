"""Votes and verdicts agree: what the grader takes for the same is one candidate."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorebench.grading.math.grader import same_answer
from scorebench.grading.math.votes import _ballot, vote_key


def _spellings(value: Fraction) -> list[str]:
    top, bottom = value.numerator, value.denominator
    percent = value * 100
    texts = [
        rf"\frac{{{top}}}{{{bottom}}}",
        f"{top}/{bottom}",
        f"x = {top}/{bottom}",
        rf"\boxed{{\frac{{{2 * top}}}{{{2 * bottom}}}}}",
        f"({top}/{bottom})",
    ]
    if percent.denominator == 1:
        texts += [rf"{percent.numerator}\%", f"{percent.numerator} percent"]
    if 10**6 % bottom == 0:
        texts.append(f"{float(value):.6f}")
    return texts


values = st.builds(Fraction, st.integers(-60, 60), st.sampled_from([1, 2, 3, 4, 5, 8, 10]))
answers = values.flatmap(lambda value: st.tuples(st.just(value), st.sampled_from(_spellings(value))))


@settings(max_examples=150, deadline=None)
@given(values, st.lists(answers, min_size=2, max_size=6))
def test_votes_follow_verdicts(reference: Fraction, voters: list[tuple[Fraction, str]]):
    """Equal values vote together, others apart; and all that passes votes for the reference."""
    gold = rf"\frac{{{reference.numerator}}}{{{reference.denominator}}}"
    keys = [vote_key(gold, answer) for _, answer in voters]
    passed = [same_answer(gold, answer).passed for _, answer in voters]
    assert [key == gold for key in keys] == passed
    for (value, answer), key, right in zip(voters, keys, passed, strict=True):
        for (other_value, other), other_key, other_right in zip(voters, keys, passed, strict=True):
            if right == other_right:
                assert (key == other_key) == (right or value == other_value), (answer, other)


def _sets(numbers: list[int]) -> list[str]:
    a, b, c = numbers
    return [f"{a},{b},{c}", f"{c}, {a}, {b}", rf"\{{{b}, {c}, {a}\}}", f"{a}, {b} and {c}", rf"x={b}, x={a}, x={c}"]


def _named(number: int) -> list[str]:
    return [f"x={number}", f"x = {number}.0", f"{number}", rf"\boxed{{x={number}}}"]


def _measured(number: int) -> list[str]:
    return [rf"{number}\text{{ cm}}", f"{number} cm", f"{number} centimeters", f"{number}"]


def _polynomials(number: int) -> list[str]:
    return [f"x^2+{2 * number}x+{number**2}", f"(x+{number})^2", f"{number**2}+x^2+{2 * number}x"]


def _points(numbers: list[int]) -> list[str]:
    a, b, _ = numbers
    return [f"({a},{b})", rf"\left( {a}, {b} \right)", f"(x, y) = ({a}, {b})", f"({a}.0, {b})"]


def _intervals(numbers: list[int]) -> list[str]:
    low, high = sorted(numbers)[::2]
    return [f"({low},{high}]", rf"{low} < x \le {high}", f"({low}, {high}.0]", rf"x \in ({low},{high}]"]


_KINDS: list[Callable[[list[int]], list[str]]] = [
    _sets, _points, _intervals, *(lambda numbers, of=of: of(numbers[0]) for of in (_named, _measured, _polynomials)),
]  # fmt: skip
triples = st.lists(st.integers(2, 9), min_size=3, max_size=3, unique=True).map(sorted)
ballots = st.lists(st.tuples(triples, st.integers(0, 4)), min_size=2, max_size=5)


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(_KINDS), triples, ballots)
def test_votes_of_sets_points_intervals_names_units_and_polynomials_follow_verdicts(
    kind: Callable[[list[int]], list[str]], gold: list[int], drawn: list[tuple[list[int], int]]
):
    """All spellings of a value vote together, other values apart, and what passes votes for the reference."""
    reference = kind(gold)[0]
    voters = [kind(numbers)[spelling % len(kind(numbers))] for numbers, spelling in drawn]
    values = [kind(numbers)[0] for numbers, _ in drawn]
    keys = [vote_key(reference, answer) for answer in voters]
    for value, answer, key in zip(values, voters, keys, strict=True):
        assert (key == reference) == same_answer(reference, answer).passed == (value == reference), answer
        for other_value, other, other_key in zip(values, voters, keys, strict=True):
            assert (key == other_key) == (value == other_value), (answer, other)


@pytest.mark.parametrize(
    "votes",
    [
        ("5", "5.0", "x=5", r"\boxed{5}", "$5$", r"\frac{10}{2}", r"\sqrt{25}"),
        (r"\frac{1}{2}", "0.5", r"\frac12", "1/2", r"50\%"),
        ("1,2,3", "3, 2, 1", r"\{2,1,3\}"),
        ("x^2+2x+1", "(x+1)^2", "1+2x+x^2"),
        (r"\text{(C)}", "(C)", r"\textbf{(C)}"),
        (r"(-\infty,1)\cup(2,3)", r"(2,3) \cup (-\infty, 1)"),
        ("y=2x+1", "2x-y=-1"),
    ],
)
def test_the_same_answers_are_one_vote_in_any_order(votes: tuple[str, ...]):
    for order in list(permutations(votes))[:: max(1, len(list(permutations(votes))) // 12)]:
        _ballot.cache_clear()
        assert len({vote_key("-987654321", answer) for answer in order}) == 1


def test_different_answers_are_different_votes():
    answers = [
        "5",
        "-5",
        r"\frac{1}{5}",
        "x",
        "x^2",
        "(1,2)",
        "(2,1)",
        "[1,2]",
        "1,2,3",
        r"\text{even}",
        r"\pi",
        "3.14",
        "i",
    ]
    assert len({vote_key("-987654321", answer) for answer in answers}) == len(answers)


def test_votes_of_many_threads_are_one_class():
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda n: vote_key("-12345", f"{n}+x^2-{n - 1}"), range(24)))
    assert len(keys) == 1
