"""Power against simulated comparisons, and Holm's correction."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorebench.statistics import intervals
from scorebench.statistics.power import Difference, smallest_delta


@pytest.mark.parametrize(("delta", "differing", "problems"), [(0.044, 0.2, 500), (0.1, 0.25, 164), (0.02, 0.1, 1200)])
def test_power_is_how_often_mcnemars_test_finds_it(delta: float, differing: float, problems: int) -> None:
    rng = np.random.default_rng(1)
    shares = [(differing + delta) / 2, (differing - delta) / 2, 1 - differing]
    drawn = rng.multinomial(problems, shares, 1000)
    found = [intervals.mcnemar(int(gains), int(losses)) < 0.05 and gains > losses for gains, losses, _ in drawn]
    # The exact test is a little less powerful than the formula.
    assert Difference(delta, differing, 0.5).power(problems, 1) == pytest.approx(np.mean(found) + 0.03, abs=0.06)


def test_power_with_several_samples_is_how_often_the_sign_flip_test_finds_it() -> None:
    """Chances that differ by problem, the same for both methods but for the difference."""
    rng = np.random.default_rng(2)
    problems, samples, delta = 200, 4, 0.08
    chance_P = rng.beta(2, 2, (400, problems))
    ours, theirs = (rng.binomial(samples, np.clip(chance_P + move, 0, 1)) / samples for move in (delta / 2, -delta / 2))
    found = [intervals.sign_flip(difference_P) < 0.05 for difference_P in ours - theirs]
    # Verdicts of one sample each differ where one is right and the other is not; all of it averages out.
    differing = float((2 * chance_P * (1 - chance_P)).mean() + delta**2 / 2)
    true_delta = float((ours - theirs).mean())
    assert Difference(true_delta, differing, 0.0).power(problems, samples) == pytest.approx(np.mean(found), abs=0.07)


@given(
    delta=st.floats(0.01, 0.2),
    more=st.floats(0.01, 0.5),
    lasting=st.floats(0, 1),
    samples=st.integers(1, 64),
    power=st.floats(0.5, 0.95),
)
def test_what_is_needed_is_enough_and_no_more(
    delta: float, more: float, lasting: float, samples: int, power: float
) -> None:
    found = Difference(delta, delta + more, lasting)
    problems = found.problems_for(power, samples)
    assert found.power(problems, samples) >= power - 1e-6
    assert problems == 1 or found.power(problems - 1, samples) < power + 1e-6
    enough = found.samples_for(power, problems)
    assert enough is not None
    assert enough <= samples
    counts = problems, problems - 1
    smallest, with_one_less = (smallest_delta(n, samples, delta + more, lasting, power) for n in counts)
    assert smallest <= delta + 1e-6
    assert not with_one_less < delta - 1e-6  # it may be nan: with so few problems no difference is found


def test_no_number_of_samples_makes_up_for_few_problems() -> None:
    found = Difference(0.044, 0.2, 0.5)
    assert found.samples_for(0.9, 500) is None
    assert found.samples_for(0.8, 500) == 5
    assert math.isnan(smallest_delta(3, 1, 0.2, 0.5, 0.9))


def test_holm_is_the_textbook_s() -> None:
    assert intervals.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert intervals.holm([]) == []
    assert intervals.holm([0.6, 0.9]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_keeps_the_order_and_never_falls_below_p(p_values: list[float]) -> None:
    adjusted = intervals.holm(p_values)
    assert all(own <= corrected <= 1 for own, corrected in zip(p_values, adjusted, strict=True))
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    assert [adjusted[place] for place in order] == sorted(adjusted)
