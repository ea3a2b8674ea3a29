"""Intervals and paired tests for shares of problems, on plain arrays.

The unit of evidence is the problem: several samples of one problem are one cluster. Every estimate is a mean over
problems of the mean over that problem's samples, so each problem weighs the same however often it was sampled.
With one sample a problem everything below is the textbook method for independent problems. Where several seeds are
pooled, the seeds are a second source of variance, which seeds.py estimates.

Coverage: tests/statistics/test_intervals.py simulates 2,000 runs of each kind, and the intervals hold the truth in 93
to 97 % of them. The exception are rare events. Where fewer than about five flips (or passes) are expected in a whole
run, no interval can be exact, because counts are whole numbers. With one sample a problem such intervals are too wide
(they hold the truth in up to 99 %). With strongly clustered samples they are too narrow (about 91 % for 1.4 % of 164
problems x 8 samples).

Axes: P problems, S seeds. All shares are fractions of 1. All intervals are for 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Z_95 = 1.959963984540054  # the 97.5 % quantile of the normal distribution
RESAMPLES = 10_000
SEED = 20240912  # of bootstrap and sign flips: the same rows give the same table

Floats = NDArray[np.float64]


class Estimate(NamedTuple):
    """A figure and its 95 % interval; all three are nan where there is nothing to estimate from."""

    value: float
    low: float
    high: float


UNKNOWN = Estimate(math.nan, math.nan, math.nan)


def rate(shares_P: Floats, samples_P: NDArray[np.int64]) -> Estimate:
    """The mean of the problems' shares, with Wilson's interval at the effective number of problems.

    shares_P: the share of a problem's samples that count, in [0, 1]; samples_P: how many samples that is, at least 1.
    """
    if shares_P.size == 0:
        return UNKNOWN
    share = float(shares_P.mean())
    return Estimate(share, *wilson(share, effective_problems(shares_P, np.zeros_like(shares_P), samples_P)))


def change(gains_P: Floats, losses_P: Floats, samples_P: NDArray[np.int64]) -> Estimate:
    """The mean of gains minus losses, with Tango's interval at the effective number of problems.

    gains_P, losses_P: the shares of a problem's samples that changed in the one and in the other direction.
    """
    if gains_P.size == 0:
        return UNKNOWN
    gains, losses = float(gains_P.mean()), float(losses_P.mean())
    return Estimate(gains - losses, *tango(gains, losses, effective_problems(gains_P, losses_P, samples_P)))


def wilson(share: float, n: float) -> tuple[float, float]:
    """Wilson's score interval of a share of n trials. Wilson 1927, JASA 22:209.

    n need not be a whole number: it is an effective number of problems. That is why this is not scipy's
    `binomtest(...).proportion_ci`, which takes whole counts only; where n is whole, a test holds the two together.
    """
    z2 = Z_95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    low = 0.0 if share == 0 else max(0.0, centre - half)
    high = 1.0 if share == 1 else min(1.0, centre + half)
    return low, high


def tango(gains: float, losses: float, n: float) -> tuple[float, float]:
    """Tango's score interval of gains - losses among n pairs; n need not be whole.

    gains, losses: the shares of pairs that differ in the one and in the other direction. The bounds are the
    differences at which the score statistic is +z and -z. Unlike a Wald interval it stays honest when flips are
    rare, and has a width when there are none. Tango 1998, Statistics in Medicine 17:891.
    """
    difference = gains - losses
    low = _first_kept(-1.0, difference, lambda d: _score(gains, losses, n, d) <= Z_95)
    high = _first_kept(1.0, difference, lambda d: _score(gains, losses, n, d) >= -Z_95)
    return low, high


def _score(gains: float, losses: float, n: float, d: float) -> float:
    """How many standard errors the observed difference lies above d, if d were the true difference."""
    # The likeliest share of losses given d is the larger root of 2 q^2 + b q + c = 0.
    b = -gains - losses + (2 - gains + losses) * d
    c = -losses * d * (1 - d)
    losses_given_d = (math.sqrt(max(b * b - 8 * c, 0.0)) - b) / 4
    variance = (2 * losses_given_d + d * (1 - d)) / n
    distance = gains - losses - d
    if distance == 0:
        return 0.0
    return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance)


def _first_kept(outer: float, inner: float, kept: Callable[[float], bool]) -> float:
    """The point nearest to `outer` that `kept` accepts, by bisection; `inner` is accepted."""
    if kept(outer):
        return outer
    for _ in range(60):
        middle = (outer + inner) / 2
        outer, inner = (outer, middle) if kept(middle) else (middle, inner)
    return inner


def effective_problems(gains_P: Floats, losses_P: Floats, samples_P: NDArray[np.int64]) -> float:
    """How many independent single samples would estimate mean(gains - losses) as closely as these clusters do.

    The variance of one independent sample over the variance of the clustered mean (Kish's design effect). It is P
    with one sample a problem, and where all samples of a problem agree; it is bounded by P and by the number that
    unrelated samples would give. A rate is the case without losses.
    """
    problems = gains_P.size
    difference_P = gains_P - losses_P
    clustered = float(difference_P.var())
    if clustered == 0:
        return float(problems)
    independent = float((gains_P + losses_P).mean() - difference_P.mean() ** 2)
    unrelated = problems / float(np.mean(1 / samples_P))
    return min(max(problems * independent / clustered, float(problems)), unrelated)


def paired_bootstrap(difference_P: Floats) -> Estimate:
    """The mean of paired differences, with a percentile bootstrap interval over problems.

    difference_P: one method's figure minus the other's on each problem, means over its samples.

    Half a problem is added on each side (a difference of +1 and of -1), as Agresti and Min (2005, Statistics in
    Medicine 24:729) do for Wald intervals: the plain bootstrap covers only 88 % where few problems differ, and has no
    width where no problem differs. Elsewhere this moves a bound by less than 1 / P.

    scipy's `bootstrap` takes no weights, and it takes 9 times as long (benchmarks/resampling.py): it draws 10,000 x P
    problems, and this draws how often each of the few values that differences have comes up.
    """
    if difference_P.size == 0:
        return UNKNOWN
    values, counts = np.unique(np.concatenate([difference_P, [1.0, -1.0]]), return_counts=True)
    weights = counts.astype(np.float64)
    weights[np.abs(values) == 1.0] -= 0.5
    rounds = np.random.default_rng(SEED).multinomial(difference_P.size + 1, weights / weights.sum(), size=RESAMPLES)
    low, high = np.quantile(rounds @ values / (difference_P.size + 1), [0.025, 0.975])
    return Estimate(float(difference_P.mean()), float(low), float(high))


def mcnemar(gains: int, losses: int) -> float:
    """McNemar's exact two-sided p-value from the numbers of problems that only one of two methods solves.

    Under the null hypothesis each of these problems is a fair coin. 1.0 where there are none.
    """
    from scipy.stats import binomtest

    return float(binomtest(gains, gains + losses).pvalue) if gains + losses else 1.0


def sign_flip(difference_P: Floats) -> float:
    """McNemar's test for clusters: the two-sided p-value of the mean difference when each problem's sign is a coin.

    With one sample a problem its exact form is McNemar's exact test. It draws RESAMPLES rounds and counts the observed
    signs as one more round, so that p is never 0. scipy's `permutation_test` does the same and takes about 80 times as
    long (benchmarks/resampling.py); a test holds the two together.
    """
    moved = difference_P[difference_P != 0]
    observed = abs(float(moved.sum()))
    flips = np.random.default_rng(SEED).integers(0, 2, size=(RESAMPLES, moved.size), dtype=np.int8) * 2 - 1
    as_far = int(np.sum(np.abs(flips @ moved) >= observed - 1e-9))
    return (as_far + 1) / (RESAMPLES + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: what remains when several methods meet one baseline.

    A difference whose adjusted value is below 0.05 stands, with a chance of at most 5 % that any of those that stand
    is none. Holm 1979, Scandinavian Journal of Statistics 6:65. scipy has false discovery rates only.
    """
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted
