"""Coverage of every interval by simulation, and agreement with scipy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from scorebench.statistics import intervals
from scorebench.statistics.intervals import Estimate

RUNS = 2_000

# (share right, problems): the paper's rates of MATH500 and HumanEval, the smallest of them included.
RATES = [(0.014, 500), (0.03, 164), (0.046, 500), (0.158, 500), (0.526, 500), (0.646, 164), (0.99, 500)]
# (i->c, c->i, problems): rows of the paper's tables, and rarer flips than any of them.
CHANGES = [
    (0.058, 0.014, 500),
    (0.046, 0.158, 500),
    (0.152, 0.030, 164),
    (0.014, 0.006, 500),
    (0.006, 0.002, 500),
    (0.014, 0.014, 164),
    (0.020, 0.004, 164),
    (0.040, 0.0, 164),
]
# (share, correlation of a problem's samples, problems, samples a problem; 0: from 1 to 8)
CLUSTERED_RATES = [
    (0.014, 0.2, 500, 0),
    (0.014, 0.5, 500, 8),
    (0.014, 0.9, 500, 3),
    (0.05, 0.5, 164, 0),
    (0.05, 0.2, 500, 64),
    (0.158, 0.3, 164, 8),
    (0.526, 0.5, 500, 0),
    (0.6, 0.9, 164, 3),
    (0.3, 0.0, 164, 8),
]
CLUSTERED_CHANGES = [
    (0.014, 0.006, 0.3, 500, 8),
    (0.014, 0.014, 0.6, 164, 3),
    (0.02, 0.004, 0.3, 164, 0),
    (0.058, 0.014, 0.3, 500, 0),
    (0.046, 0.158, 0.4, 500, 3),
    (0.152, 0.03, 0.5, 164, 8),
    (0.05, 0.05, 0.8, 500, 0),
]


def covered(estimates: list[Estimate], truth: float) -> float:
    """The share of intervals that hold the truth."""
    return sum(estimate.low <= truth <= estimate.high for estimate in estimates) / len(estimates)


def check(estimates: list[Estimate], truth: float) -> None:
    """Coverage within 93-97 %, but for the simulation's own error: one standard error of the full 2,000 runs, three
    of the default's fewer runs.
    """
    errors = 1 if len(estimates) >= RUNS else 3
    slack = errors * (0.05 * 0.95 / len(estimates)) ** 0.5
    coverage = covered(estimates, truth)
    print(f"{coverage:.3f} of {len(estimates)} intervals hold {truth}")  # pytest -rP shows it
    assert 0.93 - slack <= coverage <= 0.97 + slack, f"{coverage:.3f} of {len(estimates)} intervals hold {truth}"


def sample_counts(rng: np.random.Generator, problems: int, samples: int) -> np.ndarray:
    return np.full(problems, samples) if samples else rng.integers(1, 9, problems)


def one_rate(rng: np.random.Generator, share: float, correlation: float, problems: int, samples: int) -> Estimate:
    """Beta-binomial: each problem has its own chance of being solved."""
    samples_P = sample_counts(rng, problems, samples)
    concentration = (1 - correlation) / correlation if correlation else 1e9
    chance_P = rng.beta(share * concentration, (1 - share) * concentration, problems)
    return intervals.rate(rng.binomial(samples_P, chance_P) / samples_P, samples_P)


def one_change(
    rng: np.random.Generator, gains: float, losses: float, correlation: float, problems: int, samples: int
) -> Estimate:
    """Dirichlet-multinomial: each problem has its own chances of either flip."""
    samples_P = sample_counts(rng, problems, samples)
    shares = np.array([gains, losses, 1 - gains - losses])
    chances_P3 = rng.dirichlet(np.maximum(shares, 1e-12) * (1 - correlation) / correlation, problems)
    flips_P3 = np.array([rng.multinomial(s, c) for s, c in zip(samples_P, chances_P3, strict=True)])
    return intervals.change(flips_P3[:, 0] / samples_P, flips_P3[:, 1] / samples_P, samples_P)


def single_flips(rng: np.random.Generator, gains: float, losses: float, problems: int) -> tuple[np.ndarray, np.ndarray]:
    kind_P = rng.choice(3, problems, p=[gains, losses, 1 - gains - losses])
    return (kind_P == 0).astype(float), (kind_P == 1).astype(float)


def rate_runs(runs: int, share: float, problems: int) -> list[Estimate]:
    rng = np.random.default_rng(1)
    ones = np.ones(problems, dtype=int)
    return [intervals.rate((rng.random(problems) < share).astype(float), ones) for _ in range(runs)]


def change_runs(runs: int, gains: float, losses: float, problems: int) -> list[Estimate]:
    rng = np.random.default_rng(2)
    ones = np.ones(problems, dtype=int)
    return [intervals.change(*single_flips(rng, gains, losses, problems), ones) for _ in range(runs)]


def bootstrap_runs(runs: int, gains: float, losses: float, problems: int) -> list[Estimate]:
    rng = np.random.default_rng(3)
    flips = (single_flips(rng, gains, losses, problems) for _ in range(runs))
    return [intervals.paired_bootstrap(gains_P - losses_P) for gains_P, losses_P in flips]


def clustered_rate_runs(runs: int, *case: float) -> list[Estimate]:
    rng = np.random.default_rng(4)
    return [one_rate(rng, case[0], case[1], int(case[2]), int(case[3])) for _ in range(runs)]


def clustered_change_runs(runs: int, *case: float) -> list[Estimate]:
    rng = np.random.default_rng(5)
    return [one_change(rng, case[0], case[1], case[2], int(case[3]), int(case[4])) for _ in range(runs)]


def rare(gains: float, losses: float, problems: int) -> bool:
    """Fewer than five flips expected: counts jump too far for an exact interval, and it has to err to the wide side."""
    return (gains + losses) * problems < 5


@pytest.mark.parametrize("case", RATES)
def test_rates_are_covered(case: tuple[float, int]) -> None:
    check(rate_runs(RUNS, *case), case[0])


@pytest.mark.parametrize("case", RATES)
def test_true_coverage_of_rates(case: tuple[float, int]) -> None:
    """Not simulated but summed over every possible count, so without slack."""
    share, n = case
    held = 0.0
    for passed in range(n + 1):
        low, high = intervals.wilson(passed / n, n)
        held += scipy.stats.binom.pmf(passed, n, share) if low <= share <= high else 0.0
    assert 0.93 <= held <= 0.97


@pytest.mark.parametrize("case", [case for case in CHANGES if not rare(*case)])
def test_true_coverage_of_deltas(case: tuple[float, float, int]) -> None:
    """Summed over every pair of counts with any weight, so without slack."""
    gains, losses, n = case
    held = total = 0.0
    for up in range(*likely(n, gains)):
        for down in range(*likely(n, losses)):
            weight = scipy.stats.multinomial.pmf([up, down, n - up - down], n, [gains, losses, 1 - gains - losses])
            low, high = intervals.tango(up / n, down / n, n)
            held += weight if low <= gains - losses <= high else 0.0
            total += weight
    assert total > 0.999
    assert 0.93 <= held <= 0.97


def likely(n: int, share: float) -> tuple[int, int]:
    """A range that holds a binomial count but for one chance in 10,000."""
    return int(scipy.stats.binom.ppf(1e-4, n, share)), int(scipy.stats.binom.ppf(1 - 1e-4, n, share)) + 2


@pytest.mark.parametrize("case", CHANGES)
def test_deltas_are_covered(case: tuple[float, float, int]) -> None:
    estimates = change_runs(400, *case)
    if rare(*case):
        assert covered(estimates, case[0] - case[1]) >= 0.93
    else:
        check(estimates, case[0] - case[1])


@pytest.mark.slow
@pytest.mark.parametrize("case", CHANGES)
def test_deltas_are_covered_over_2000_runs(case: tuple[float, float, int]) -> None:
    estimates = change_runs(RUNS, *case)
    if rare(*case):
        assert covered(estimates, case[0] - case[1]) >= 0.93
    else:
        check(estimates, case[0] - case[1])


@pytest.mark.parametrize("case", CLUSTERED_RATES[::3])
def test_rates_of_several_samples_are_covered(case: tuple[float, ...]) -> None:
    check(clustered_rate_runs(1000, *case), case[0])


@pytest.mark.slow
@pytest.mark.parametrize("case", CLUSTERED_RATES)
def test_rates_of_several_samples_are_covered_over_2000_runs(case: tuple[float, ...]) -> None:
    check(clustered_rate_runs(RUNS, *case), case[0])


@pytest.mark.parametrize("case", CLUSTERED_CHANGES[::3])
def test_deltas_of_several_samples_are_covered(case: tuple[float, ...]) -> None:
    check(clustered_change_runs(300, *case), case[0] - case[1])


@pytest.mark.slow
@pytest.mark.parametrize("case", CLUSTERED_CHANGES)
def test_deltas_of_several_samples_are_covered_over_2000_runs(case: tuple[float, ...]) -> None:
    check(clustered_change_runs(RUNS, *case), case[0] - case[1])


@pytest.mark.parametrize("case", CHANGES[:4:3])
def test_paired_bootstrap_is_covered(case: tuple[float, float, int]) -> None:
    check(bootstrap_runs(300, *case), case[0] - case[1])


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CHANGES if not rare(*case)])
def test_paired_bootstrap_is_covered_over_2000_runs(case: tuple[float, float, int]) -> None:
    check(bootstrap_runs(RUNS, *case), case[0] - case[1])


def test_a_naive_interval_would_be_caught() -> None:
    """Taking eight samples of a problem for eight problems fails the same check."""
    rng = np.random.default_rng(6)
    naive = []
    for _ in range(500):
        passed = rng.binomial(8, rng.beta(0.5, 0.5, 164)).sum() / (8 * 164)
        naive.append(Estimate(passed, *intervals.wilson(passed, 8 * 164)))
    with pytest.raises(AssertionError, match="intervals hold"):
        check(naive, 0.5)


@given(n=st.integers(1, 600), data=st.data())
def test_wilson_is_scipys(n: int, data: st.DataObject) -> None:
    passed = data.draw(st.integers(0, n))
    theirs = scipy.stats.binomtest(passed, n).proportion_ci(method="wilson")
    assert intervals.wilson(passed / n, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@given(gains=st.integers(0, 60), losses=st.integers(0, 60), same=st.integers(0, 500))
def test_tango_bounds_solve_the_score_equation(gains: int, losses: int, same: int) -> None:
    """The defining property, with the constrained estimate found numerically and not by the formula."""
    n = gains + losses + same
    if n == 0:
        return
    low, high = intervals.tango(gains / n, losses / n, n)
    assert -1 <= low <= (gains - losses) / n <= high <= 1
    assert (-high, -low) == pytest.approx(intervals.tango(losses / n, gains / n, n), abs=1e-9)
    for bound in (low, high):
        if abs(bound) < 0.999:
            q = likeliest_losses(gains, losses, same, bound)
            statistic = (gains - losses - n * bound) / np.sqrt(n * (2 * q + bound * (1 - bound)))
            assert abs(statistic) == pytest.approx(1.959964, abs=1e-3)


def likeliest_losses(gains: int, losses: int, same: int, difference: float) -> float:
    """The share of losses that maximises the likelihood when gains exceed losses by `difference`, on finer grids."""
    low, high = max(0.0, -difference), (1 - difference) / 2
    for _ in range(12):
        grid = np.linspace(low, high, 201)
        rest = np.maximum(1 - 2 * grid - difference, 0)
        score = sum(
            count * np.log(np.maximum(share, 1e-300))
            for count, share in ((gains, grid + difference), (losses, grid), (same, rest))
        )
        best = int(np.argmax(score))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, 200)]
    return (low + high) / 2


@given(gains=st.integers(0, 400), losses=st.integers(0, 400))
def test_mcnemar_is_scipys_binomial_test(gains: int, losses: int) -> None:
    expected = scipy.stats.binomtest(gains, gains + losses).pvalue if gains + losses else 1.0
    assert intervals.mcnemar(gains, losses) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("gains", "losses"), [(3, 10), (8, 8), (25, 9), (1, 0)])
def test_sign_flip_is_mcnemar_with_one_sample_a_problem(gains: int, losses: int) -> None:
    difference_P = np.array([1.0] * gains + [-1.0] * losses + [0.0] * 50)
    assert intervals.sign_flip(difference_P) == pytest.approx(intervals.mcnemar(gains, losses), abs=0.015)


def test_sign_flip_is_scipys_permutation_test_with_several_samples() -> None:
    difference_P = np.array([0.5, 0.25, -0.25, 1.0, 0.75, -0.5, 0.25, 0.5, 0.125, 0.0, 0.0])
    theirs = scipy.stats.permutation_test(
        (difference_P,), lambda x, axis: x.mean(axis=axis), permutation_type="samples", n_resamples=100_000
    )
    assert intervals.sign_flip(difference_P) == pytest.approx(theirs.pvalue, abs=0.015)


def test_sign_flip_keeps_its_level() -> None:
    """Two methods that are equally good differ at p < 0.05 in at most about one of twenty comparisons."""
    rng = np.random.default_rng(7)
    differences = (rng.binomial(4, 0.5, 60) / 4 - rng.binomial(4, 0.5, 60) / 4 for _ in range(300))
    assert np.mean([intervals.sign_flip(difference_P) < 0.05 for difference_P in differences]) < 0.09


def test_paired_bootstrap_is_near_scipys() -> None:
    rng = np.random.default_rng(8)
    difference_P = rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0], 500, p=[0.03, 0.05, 0.7, 0.1, 0.12])
    ours = intervals.paired_bootstrap(difference_P)
    theirs = scipy.stats.bootstrap(
        (difference_P,), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(9)
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.003)


def test_no_flip_at_all_is_no_certainty() -> None:
    zeros, ones = np.zeros(500), np.ones(500, dtype=int)
    assert intervals.change(zeros, zeros, ones).high == pytest.approx(1.96**2 / (500 + 1.96**2), rel=1e-3)
    assert intervals.rate(zeros, ones).high > 0
    assert intervals.rate(ones.astype(float), ones).low < 1
    assert intervals.paired_bootstrap(zeros).high > 0


@settings(max_examples=50)
@given(seed=st.integers(0, 1000), copies=st.integers(2, 6))
def test_repeating_every_sample_adds_no_evidence(seed: int, copies: int) -> None:
    gains_P, losses_P = single_flips(np.random.default_rng(seed), 0.1, 0.05, 100)
    once = intervals.change(gains_P, losses_P, np.ones(100, dtype=int))
    assert intervals.change(gains_P, losses_P, np.full(100, copies)) == pytest.approx(once)


def test_unrelated_samples_count_in_full() -> None:
    rng = np.random.default_rng(10)
    shares_P = rng.binomial(8, 0.3, 5000) / 8
    n = intervals.effective_problems(shares_P, np.zeros(5000), np.full(5000, 8))
    assert n == pytest.approx(8 * 5000, rel=0.05)
