"""Acc@t, delta, i->c, c->i and the comparison of two methods: pure functions of a run's verdicts.

The five metrics of SCoRe (arXiv 2409.12917, section 3) are shares of ALL problems:

    Acc@t          right at turn t
    delta(t, u)    Acc@u - Acc@t
    i->c (t, u)    wrong at t and right at u
    c->i (t, u)    right at t and wrong at u          so that Acc@u = Acc@t + i->c - c->i, always

What is measured besides them stands in further_metrics.py. All of it is explained in docs/metrics.md.

Axes: P problems, K samples of a problem, T turns, S seeds, E episodes. Turns are counted from 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scorebench.api.types import Attempt, Episode
from scorebench.statistics import intervals, seeds
from scorebench.statistics.intervals import UNKNOWN, Estimate, Floats
from scorebench.statistics.outcomes import Outcomes as Outcomes
from scorebench.statistics.outcomes import outcomes as outcomes
from scorebench.statistics.outcomes import pool as pool


def rate(run: Outcomes, counted_PK: NDArray[np.bool_]) -> Estimate:
    """The share of all problems whose samples count, with its interval."""
    shares_P = run.share_P(counted_PK)
    if run.seeds == 1:
        return intervals.rate(shares_P, scored_samples(run))
    return seeds.rate(run.share_SP(counted_PK), shares_P, scored_samples(run))


def change(run: Outcomes, gains_PK: NDArray[np.bool_], losses_PK: NDArray[np.bool_]) -> Estimate:
    """The share of all problems that gain minus the share that lose, with its interval."""
    gains_P, losses_P = run.share_P(gains_PK), run.share_P(losses_PK)
    if run.seeds == 1:
        return intervals.change(gains_P, losses_P, scored_samples(run))
    return seeds.change(run.share_SP(gains_PK), run.share_SP(losses_PK), gains_P, losses_P, scored_samples(run))


def accuracy(run: Outcomes, turn: int) -> Estimate:
    """Acc@turn."""
    return rate(run, run.at(turn)) if turn <= run.turns else UNKNOWN


def delta(run: Outcomes, before: int = 1, after: int = 2) -> Estimate:
    """Acc@after - Acc@before, on the same attempts."""
    return change(run, *flips(run, before, after)) if after <= run.turns else UNKNOWN


def i_to_c(run: Outcomes, before: int = 1, after: int = 2) -> Estimate:
    """The share of all problems that went from incorrect to correct."""
    return rate(run, flips(run, before, after)[0]) if after <= run.turns else UNKNOWN


def c_to_i(run: Outcomes, before: int = 1, after: int = 2) -> Estimate:
    """The share of all problems that went from correct to incorrect."""
    return rate(run, flips(run, before, after)[1]) if after <= run.turns else UNKNOWN


def flips(run: Outcomes, before: int = 1, after: int = 2) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which samples went from incorrect to correct, and which from correct to incorrect, as two arrays PK."""
    return ~run.at(before) & run.at(after), run.at(before) & ~run.at(after)


def scored_samples(run: Outcomes) -> NDArray[np.int64]:
    """How many samples each problem of the denominator has."""
    return run.samples_P[run.samples_P > 0]


def spread(figures: Sequence[float]) -> float:
    """The standard deviation over seeds (n - 1); nan for fewer than two."""
    return float(np.std(figures, ddof=1)) if len(figures) > 1 else math.nan


@dataclass(frozen=True)
class Comparison:
    """A method minus a baseline, on the problems that both were scored on.

    problems: how many those are. acc_t2, delta: the differences and their intervals. p_value: of equal Acc@t2.
    """

    problems: int
    acc_t2: Estimate
    delta: Estimate
    p_value: float


def compare(method: Outcomes, baseline: Outcomes) -> Comparison:
    """Compare two runs of at least two turns on the same problems.

    The p-value is McNemar's exact test; the sign-flip test where a problem has several samples; and where several seeds
    of either side are pooled, the level at which the interval over seeds and problems reaches 0.
    """
    acc_t2, p_value = _difference(method, baseline, "acc_t2")
    both = set(_scored_problems(method)) & set(_scored_problems(baseline))
    return Comparison(len(both), acc_t2, difference(method, baseline, "delta"), p_value)


Figure = Literal["acc_t1", "acc_t2", "delta", "i_to_c", "c_to_i"]


def difference(method: Outcomes, baseline: Outcomes, figure: Figure) -> Estimate:
    """One of the five metrics, method minus baseline on the problems of both, with its interval.

    Single runs: a paired bootstrap over problems. Pooled seeds: over seeds and problems (`statistics.seeds`).
    """
    return _difference(method, baseline, figure)[0]


def _difference(method: Outcomes, baseline: Outcomes, figure: Figure) -> tuple[Estimate, float]:
    """The difference with its interval, and the p-value of no difference."""
    ours, theirs = (
        dict(zip(_scored_problems(run), _cells_SP(run, figure).T, strict=True)) for run in (method, baseline)
    )
    both = [problem for problem in ours if problem in theirs]
    if not both:
        return UNKNOWN, 1.0
    ours_SP, theirs_SP = (np.array([cells[problem] for problem in both]).T for cells in (ours, theirs))
    if method.seeds > 1 or baseline.seeds > 1:
        return seeds.difference(ours_SP, theirs_SP)
    # Rounded, so that equal differences of shares are equal numbers, which the bootstrap counts.
    difference_P = (ours_SP[0] - theirs_SP[0]).round(12)
    if max(method.scored_PK.shape[1], baseline.scored_PK.shape[1]) == 1:
        p_value = intervals.mcnemar(int((difference_P > 0).sum()), int((difference_P < 0).sum()))
    else:
        p_value = intervals.sign_flip(difference_P)
    return intervals.paired_bootstrap(difference_P), p_value


def _scored_problems(run: Outcomes) -> list[str]:
    return [problem for problem, samples in zip(run.problem_ids, run.samples_P, strict=True) if samples]


def _cells_SP(run: Outcomes, figure: Figure) -> Floats:
    """The figure of each seed on each scored problem, a mean over its samples."""
    gains_PK, losses_PK = flips(run) if run.turns > 1 else (run.at(1), run.at(1))
    counted_PK: dict[Figure, NDArray[Any]] = {
        "acc_t1": run.at(1),
        "acc_t2": run.at(min(2, run.turns)),
        "delta": gains_PK.astype(int) - losses_PK,
        "i_to_c": gains_PK,
        "c_to_i": losses_PK,
    }
    return run.share_SP(counted_PK[figure])


def by_tag(episodes: Sequence[Episode], tag: str) -> dict[str | int, Outcomes]:
    """The outcomes of each value of a tag (level, subject), in the values' order; episodes without the tag drop out."""
    groups: dict[str | int, list[Episode]] = {}
    for episode in episodes:
        if tag in episode.tags:
            groups.setdefault(episode.tags[tag], []).append(episode)
    return {value: outcomes(groups[value]) for value in sorted(groups, key=lambda value: (str(type(value)), value))}


def truncated(episodes: Sequence[Episode]) -> tuple[int, ...]:
    """How many attempts of each turn were cut off at the token limit, whatever their verdict."""
    return tuple(sum(a.reply.finish_reason == "length" for a in turn) for turn in _by_turn(episodes))


def mean_tokens(episodes: Sequence[Episode]) -> tuple[float, ...]:
    """The mean number of sampled tokens of each turn, reviews included; nan where the engine counts none."""
    lengths_TE = [[a.tokens for a in turn] for turn in _by_turn(episodes)]
    seen = any(map(any, lengths_TE))
    return tuple(sum(lengths) / len(lengths) if seen else math.nan for lengths in lengths_TE)


def _by_turn(episodes: Sequence[Episode]) -> list[tuple[Attempt, ...]]:
    return list(zip(*(episode.attempts for episode in episodes), strict=True))


@dataclass(frozen=True)
class Edits:
    """How much the second of two attempts differs from the first, over the episodes without an error.

    ratios: the edit distance ratio of each episode. same_answer: share of episodes whose two attempts give the same
    answer, as extracted and letter by letter; two attempts without an answer are not the same. same_text: share of
    episodes with two identical replies.
    """

    ratios: Floats
    same_answer: float
    same_text: float


def edits(episodes: Sequence[Episode], before: int = 1, after: int = 2) -> Edits:
    """Compare attempts `before` and `after` of every episode that has both and no error."""
    pairs = [
        (episode.attempts[before - 1], episode.attempts[after - 1])
        for episode in episodes
        if len(episode.attempts) >= after and all(a.verdict.outcome != "error" for a in episode.attempts)
    ]
    if not pairs:
        return Edits(np.zeros(0), math.nan, math.nan)
    same_answer = [a.verdict.answer == b.verdict.answer is not None for a, b in pairs]
    return Edits(
        ratios=np.array([edit_ratio(a.reply.text, b.reply.text) for a, b in pairs]),
        same_answer=sum(same_answer) / len(pairs),
        same_text=sum(a.reply.text == b.reply.text for a, b in pairs) / len(pairs),
    )


def edit_ratio(first: str, second: str) -> float:
    """Levenshtein distance in characters over the total length of both texts (SCoRe, section 4); 0 for two empty ones.

    It is 0 for identical texts, and the longer text's share of the total length for texts with nothing in common:
    one half when they are equally long, towards 1 the more they differ in length.
    """
    from rapidfuzz.distance import Levenshtein

    total = len(first) + len(second)
    return Levenshtein.distance(first, second) / total if total else 0.0
