"""Coverage of intervals over seeds and problems, by simulated trainings that differ."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from scorebench.statistics import intervals, seeds
from scorebench.statistics.intervals import Estimate
from tests.statistics.test_intervals import RUNS, check, covered

Cells = NDArray[np.float64]

# (seeds, problems, share right, standard deviation of the seeds in shares of 1)
TRAININGS = [
    (3, 500, 0.6, 0.0),
    (3, 500, 0.6, 0.02),
    (3, 1200, 0.6, 0.05),
    (3, 500, 0.05, 0.01),
    (5, 500, 0.6, 0.0),
    (5, 500, 0.6, 0.02),
    (5, 1200, 0.6, 0.05),
    (5, 164, 0.6, 0.03),
    (10, 500, 0.6, 0.05),
]


def trained(rng: np.random.Generator, count: int, problems: int, share: float, deviation: float) -> Cells:
    """Verdicts SP. Each problem has its own chance; a seed moves it by a normal deviate, most where it is near 1/2."""
    chance_P = rng.beta(share, 1 - share, problems)
    weight_P = 2 * chance_P * (1 - chance_P) / (share * (1 - share))  # its mean is 1
    chance_SP = chance_P + rng.normal(0, deviation, count)[:, None] * weight_P
    return (rng.random((count, problems)) < np.clip(chance_SP, 0, 1)).astype(float)


def rate_of(cells_SP: Cells) -> Estimate:
    return seeds.rate(cells_SP, cells_SP.mean(axis=0), np.full(cells_SP.shape[1], len(cells_SP)))


def rates(runs: int, count: int, problems: int, share: float, deviation: float) -> list[Estimate]:
    rng = np.random.default_rng(11)
    return [rate_of(trained(rng, count, problems, share, deviation)) for _ in range(runs)]


def differences(runs: int, count: int, problems: int, deviation: float) -> list[Estimate]:
    """A method of several seeds, 10 points above a baseline of one run on the same problems."""
    rng = np.random.default_rng(12)
    found = []
    for _ in range(runs):
        chance_P = rng.beta(0.8, 0.8, problems) * 0.8 + 0.05
        ours_SP = chance_P + 0.1 + rng.normal(0, deviation, count)[:, None]
        drawn = [(rng.random(c.shape) < np.clip(c, 0, 1)).astype(float) for c in (ours_SP, chance_P[None])]
        found.append(seeds.difference(*drawn)[0])
    return found


@pytest.mark.parametrize("training", [TRAININGS[1], TRAININGS[6]])
def test_intervals_over_seeds_hold_the_truth(training: tuple[int, int, float, float]) -> None:
    check(rates(400, *training), training[2])


@pytest.mark.slow
@pytest.mark.parametrize("training", TRAININGS)
def test_intervals_over_seeds_hold_the_truth_in_full(training: tuple[int, int, float, float]) -> None:
    check(rates(RUNS, *training), training[2])


def test_differences_over_seeds_hold_the_truth() -> None:
    check(differences(400, 5, 500, 0.02), 0.1)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "deviation"), [(3, 0.0), (3, 0.02), (5, 0.0), (5, 0.04)])
def test_differences_over_seeds_hold_the_truth_in_full(count: int, deviation: float) -> None:
    check(differences(RUNS, count, 500, deviation), 0.1)


@pytest.mark.slow
@pytest.mark.parametrize("deviation", [0.0, 0.02, 0.05])
def test_two_seeds_err_to_the_wide_side(deviation: float) -> None:
    coverage = covered(rates(RUNS, 2, 1200, 0.6, deviation), 0.6)
    print(f"{coverage:.3f} of {RUNS} intervals hold the truth")
    assert 0.945 <= coverage <= 0.995


def test_the_plain_two_level_bootstrap_is_too_narrow_for_few_seeds() -> None:
    """Why it is not used: see the module's first lines, which have the figures of 2,000 runs."""
    rng = np.random.default_rng(13)
    found = []
    for _ in range(120):
        cells_SP = trained(rng, 2, 1200, 0.6, 0.05)
        weights_BS = rng.multinomial(2, [0.5, 0.5], 250) / 2
        weights_BP = rng.multinomial(1200, np.full(1200, 1 / 1200), 250) / 1200
        low, high = np.quantile(((weights_BS @ cells_SP) * weights_BP).sum(axis=1), [0.025, 0.975])
        found.append(Estimate(float(cells_SP.mean()), float(low), float(high)))
    assert covered(found, 0.6) < 0.85
    assert covered(rates(120, 2, 1200, 0.6, 0.05), 0.6) > 0.92


def test_seeds_that_are_one_run_add_no_evidence() -> None:
    """The interval of three equal seeds is that of one run."""
    cells_P = trained(np.random.default_rng(1), 1, 400, 0.6, 0.0)[0]
    pooled = rate_of(np.stack([cells_P] * 3))
    assert pooled == pytest.approx(intervals.rate(cells_P, np.ones(400, dtype=np.int64)))


def test_seeds_that_differ_widen_the_interval() -> None:
    rng = np.random.default_rng(2)
    alike, apart = (rate_of(trained(rng, 5, 1200, 0.6, deviation)) for deviation in (0.0, 0.1))
    assert apart.high - apart.low > 2 * (alike.high - alike.low)


def test_a_difference_and_its_p_value_agree() -> None:
    """p is below 0.05 exactly where the interval leaves 0 out."""
    rng = np.random.default_rng(3)
    for step in np.linspace(0, 0.08, 9):
        theirs_SP = trained(rng, 1, 400, 0.5, 0.0)
        ours_SP = np.clip(trained(rng, 4, 400, 0.5, 0.01) + (rng.random((4, 400)) < step), 0, 1)
        found, p_value = seeds.difference(ours_SP, theirs_SP)
        assert (p_value < 0.05) == (not found.low <= 0 <= found.high)
    same_SP = trained(rng, 2, 400, 0.5, 0.01)
    assert seeds.difference(same_SP, same_SP)[1] == 1.0


def test_a_seed_without_some_problems_counts_where_it_has_them() -> None:
    cells_SP = trained(np.random.default_rng(4), 3, 300, 0.6, 0.02)
    cells_SP[2, :20] = np.nan
    found = seeds.variance(cells_SP)
    whole = seeds.variance(cells_SP[:, 20:])
    assert found.problems == pytest.approx(whole.problems, rel=0.2)
    assert np.isfinite(found.seeds)
