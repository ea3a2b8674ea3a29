"""What is measured besides the five: how well right answers are kept and wrong ones mended, and what is only form.

With right1 and right2 for "right at t1" and "right at t2" (docs/metrics.md has all formulas):

    CL = P(right2 | right1), CS = P(right2 | wrong1)         Acc@t2 = Acc@t1 CL + (1 - Acc@t1) CS   (arXiv 2412.19513)
    changed answers among right and among wrong first attempts
    a verifier's recall on right and on wrong first attempts
    tokens for each net correction
    format gain and answer gain, which add up to delta

All are of attempts 1 and 2. A share of some problems is the ratio of two means over problems, so that the identity
above holds exactly whatever the number of samples of a problem.

Axes: P problems, K samples of a problem, T turns, S seeds.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from scorebench.statistics import intervals, metrics, seeds
from scorebench.statistics.intervals import UNKNOWN, Estimate
from scorebench.statistics.outcomes import LOOSE, NONE, STATED, UNRECORDED, Outcomes


def further(run: Outcomes) -> dict[str, Estimate]:
    """All of them by their column names; UNKNOWN where there is nothing to take them from."""
    if run.turns < 2 or not run.n:
        return dict.fromkeys(FURTHER, UNKNOWN)
    right_PK, right_then_PK = run.at(1), run.at(2)
    wrong_PK, checked_PK = ~right_PK, run.revised_PK >= 0
    gains_PK, losses_PK = metrics.flips(run)
    form_gains_PK, form_losses_PK = form_flips(run)
    return {
        "cl": conditional(run, right_then_PK, right_PK),
        "cs": conditional(run, right_then_PK, wrong_PK),
        "changed_right": conditional(run, run.changed_PK, right_PK),
        "changed_wrong": conditional(run, run.changed_PK, wrong_PK),
        "verifier_right": conditional(run, run.revised_PK == 0, right_PK & checked_PK),
        "verifier_wrong": conditional(run, run.revised_PK == 1, wrong_PK & checked_PK),
        "tokens_per_correction": tokens_per_correction(run),
        "format_gain": metrics.change(run, form_gains_PK, form_losses_PK),
        "answer_gain": metrics.change(run, gains_PK & ~form_gains_PK, losses_PK & ~form_losses_PK),
        "i_to_c_form": metrics.rate(run, form_gains_PK),
        "c_to_i_form": metrics.rate(run, form_losses_PK),
    }


FURTHER = (
    *("cl", "cs", "changed_right", "changed_wrong", "verifier_right", "verifier_wrong", "tokens_per_correction"),
    *("format_gain", "answer_gain", "i_to_c_form", "c_to_i_form"),
)


def conditional(run: Outcomes, counted_PK: NDArray[np.bool_], among_PK: NDArray[np.bool_]) -> Estimate:
    """P(counted | among): the mean share of samples that are both, over the mean share that are among.

    Wilson's interval, at the effective number of samples that are among: the ratio's variance is that of its linear
    form, (counted - ratio) among / mean(among), over problems and, where several are pooled, over seeds.
    """
    samples_P = metrics.scored_samples(run)
    both_PK = counted_PK & among_PK
    among = float(run.share_P(among_PK).mean())
    if among == 0:
        return UNKNOWN
    ratio = float(run.share_P(both_PK).mean()) / among
    independent = ratio * (1 - ratio) / among
    linear_PK = (both_PK - ratio * among_PK) / among
    if run.seeds > 1:
        n = seeds.effective(independent, run.share_SP(linear_PK), samples_P)
    else:
        clustered = float(run.share_P(linear_PK).var())
        unrelated = run.n / float(np.mean(1 / samples_P))
        n = run.n if clustered < 1e-12 else min(max(run.n * independent / clustered, run.n), unrelated)
    return Estimate(ratio, *intervals.wilson(ratio, n * among))


def tokens_per_correction(run: Outcomes) -> Estimate:
    """The sampled tokens of turn 2, reviews included, for each problem that it gains net: mean tokens over delta.

    UNKNOWN where nothing is gained, and where no tokens are counted. The interval is that of delta: compared with
    delta, the mean of the tokens is known well. Its upper end is infinite where delta's interval reaches 0.
    """
    tokens = float(run.share_P(run.tokens_PKT[:, :, 1]).mean())
    gain = metrics.delta(run)
    if tokens == 0 or gain.value <= 0:
        return UNKNOWN
    return Estimate(tokens / gain.value, tokens / gain.high, tokens / gain.low if gain.low > 0 else math.inf)


def form_flips(run: Outcomes) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The flips that are only a matter of form, as two arrays PK.

    i->c where no answer was found in attempt 1; c->i where none was found in attempt 2.
    """
    gains_PK, losses_PK = metrics.flips(run)
    none_PKT = run.readings_PKT == NONE
    return gains_PK & none_PKT[:, :, 0], losses_PK & none_PKT[:, :, 1]


def readings(run: Outcomes, turn: int) -> dict[str, float]:
    """The shares of attempts that stated their answer as asked, were read by a looser rule, and have no answer.

    stated and loose are nan where a row does not say by which of the two its answer was found.
    """
    if turn > run.turns or not run.n:
        return dict.fromkeys(("stated", "loose", "none"), math.nan)
    found_PK = run.readings_PKT[:, :, turn - 1]
    known = not bool(((found_PK == UNRECORDED) & run.scored_PK).any())
    share = {word: float(run.share_P(found_PK == number).mean()) for word, number in KINDS.items()}
    return {word: share[word] if known or word == "none" else math.nan for word in share}


KINDS = {"stated": STATED, "loose": LOOSE, "none": NONE}


def echoes(run: Outcomes) -> tuple[int, int]:
    """How many scored attempts echo a formula of the problem, and how many of those passed."""
    echo_PKT = run.echoes_PKT & run.scored_PK[:, :, None]
    return int(echo_PKT.sum()), int((echo_PKT & run.passed_PKT).sum())
