"""Votes and verdicts agree: what the grader takes for the same is one candidate."""

from __future__ import annotations

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
    """Equal values vote together, others apart; and all that passes votes for the reference, whatever else it equals."""
    gold = rf"\frac{{{reference.numerator}}}{{{reference.denominator}}}"
    keys = [vote_key(gold, answer) for _, answer in voters]
    passed = [same_answer(gold, answer).passed for _, answer in voters]
    assert [key == gold for key in keys] == passed
    for (value, answer), key, right in zip(voters, keys, passed, strict=True):
        for (other_value, other), other_key, other_right in zip(voters, keys, passed, strict=True):
            if right == other_right:
                assert (key == other_key) == (right or value == other_value), (answer, other)


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
