"""Acc@t, delta, i->c, c->i and what stands beside them: pure functions of episodes.

The five metrics of SCoRe (arXiv 2409.12917, section 3) are shares of ALL problems:

    Acc@t          right at turn t
    delta(t, u)    Acc@u - Acc@t
    i->c (t, u)    wrong at t and right at u
    c->i (t, u)    right at t and wrong at u          so that Acc@u = Acc@t + i->c - c->i, always

An attempt whose verdict is "error" was not graded: it is neither right nor wrong. Its whole episode is left out of
every rate, so that all five stand on the same episodes and the identity above holds. The denominator never shrinks
silently: `Outcomes` carries the number of problems that the rates are over and the number of episodes left out, every
table shows both, and a run that has any is marked.

Axes: P problems, K samples of a problem, T turns. Turns are counted from 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scorebench.api.errors import UserError
from scorebench.api.types import Attempt, Episode
from scorebench.statistics import intervals
from scorebench.statistics.intervals import UNKNOWN, Estimate, Floats


@dataclass(frozen=True)
class Outcomes:
    """The verdicts of a run as arrays.

    problem_ids: the P problems, in order of first appearance.
    passed_PKT: whether an attempt passed; False where scored_PK is.
    scored_PK: whether there is such a sample and all its attempts were graded. Rows of unequal length are padded.
    errors: how many episodes were left out because an attempt could not be graded.
    """

    problem_ids: tuple[str, ...]
    passed_PKT: NDArray[np.bool_]
    scored_PK: NDArray[np.bool_]
    errors: int

    @property
    def turns(self) -> int:
        return self.passed_PKT.shape[2]

    @property
    def samples_P(self) -> NDArray[np.int64]:
        """How many samples of each problem were scored."""
        return self.scored_PK.sum(axis=1)

    @property
    def n(self) -> int:
        """The denominator: the problems with at least one scored sample."""
        return int((self.samples_P > 0).sum())

    def share_P(self, counted_PK: NDArray[np.bool_]) -> Floats:
        """The share of each scored problem's samples for which `counted_PK` holds; problems without any drop out."""
        has_P = self.samples_P > 0
        return (counted_PK & self.scored_PK).sum(axis=1)[has_P] / self.samples_P[has_P]

    def at(self, turn: int) -> NDArray[np.bool_]:
        """passed_PK of one turn."""
        return self.passed_PKT[:, :, turn - 1]


def outcomes(episodes: Sequence[Episode]) -> Outcomes:
    """The verdicts of one run's episodes as arrays.

    Raises UserError where an episode is there twice, or where episodes have unequal numbers of attempts.
    """
    by_problem: dict[str, dict[int, Episode]] = {}
    for episode in episodes:
        samples = by_problem.setdefault(episode.problem_id, {})
        if episode.sample in samples:
            raise UserError(f"Problem {episode.problem_id} has sample {episode.sample} twice; remove one of the rows.")
        samples[episode.sample] = episode
    lengths = sorted({len(episode.attempts) for episode in episodes})
    if len(lengths) > 1:
        raise UserError(f"Episodes of one run have {lengths} attempts; give rows with equal numbers of attempts.")
    shape = (len(by_problem), max(map(len, by_problem.values()), default=0))
    passed_PKT = np.zeros((*shape, lengths[0] if lengths else 0), dtype=bool)
    scored_PK = np.zeros(shape, dtype=bool)
    errors = 0
    for p, samples in enumerate(by_problem.values()):
        for k, sample in enumerate(sorted(samples)):
            verdicts = [attempt.verdict.outcome for attempt in samples[sample].attempts]
            if "error" in verdicts:
                errors += 1
            else:
                scored_PK[p, k] = True
                passed_PKT[p, k] = [verdict == "pass" for verdict in verdicts]
    return Outcomes(tuple(by_problem), passed_PKT, scored_PK, errors)


def accuracy(run: Outcomes, turn: int) -> Estimate:
    """Acc@turn."""
    if turn > run.turns:
        return UNKNOWN
    return intervals.rate(run.share_P(run.at(turn)), _scored_samples(run))


def delta(run: Outcomes, before: int = 1, after: int = 2) -> Estimate:
    """Acc@after - Acc@before, on the same attempts."""
    if after > run.turns:
        return UNKNOWN
    gains_PK, losses_PK = _flips(run, before, after)
    return intervals.change(run.share_P(gains_PK), run.share_P(losses_PK), _scored_samples(run))


def i_to_c(run: Outcomes, before: int = 1, after: int = 2) -> Estimate:
    """The share of all problems that went from incorrect to correct."""
    if after > run.turns:
        return UNKNOWN
    return intervals.rate(run.share_P(_flips(run, before, after)[0]), _scored_samples(run))


def c_to_i(run: Outcomes, before: int = 1, after: int = 2) -> Estimate:
    """The share of all problems that went from correct to incorrect."""
    if after > run.turns:
        return UNKNOWN
    return intervals.rate(run.share_P(_flips(run, before, after)[1]), _scored_samples(run))


def _flips(run: Outcomes, before: int, after: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    return ~run.at(before) & run.at(after), run.at(before) & ~run.at(after)


def _scored_samples(run: Outcomes) -> NDArray[np.int64]:
    return run.samples_P[run.samples_P > 0]


def pool(runs: Sequence[Outcomes]) -> Outcomes:
    """Several seeds as one run: each seed's samples become further samples of the same problems.

    Its interval is clustered by problem: it says how far other problems would move the mean of these seeds. How far
    other seeds would, the standard deviation over seeds says (`spread`).
    """
    ids = tuple(dict.fromkeys(problem for run in runs for problem in run.problem_ids))
    place = {problem: p for p, problem in enumerate(ids)}
    widths = [run.scored_PK.shape[1] for run in runs]
    turns = min(run.turns for run in runs)
    passed_PKT = np.zeros((len(ids), sum(widths), turns), dtype=bool)
    scored_PK = np.zeros((len(ids), sum(widths)), dtype=bool)
    start = 0
    for run, width in zip(runs, widths, strict=True):
        rows = [place[problem] for problem in run.problem_ids]
        passed_PKT[rows, start : start + width] = run.passed_PKT[:, :, :turns]
        scored_PK[rows, start : start + width] = run.scored_PK
        start += width
    return Outcomes(ids, passed_PKT, scored_PK, sum(run.errors for run in runs))


def spread(figures: Sequence[float]) -> float:
    """The standard deviation over seeds (n - 1); nan for fewer than two."""
    return float(np.std(figures, ddof=1)) if len(figures) > 1 else math.nan


@dataclass(frozen=True)
class Comparison:
    """A method minus a baseline, on the problems that both were scored on.

    problems: how many those are. acc_t2, delta: the differences, with a paired bootstrap interval over problems.
    p_value: of equal Acc@t2, by McNemar's exact test, or by the sign-flip test where a problem has several samples.
    """

    problems: int
    acc_t2: Estimate
    delta: Estimate
    p_value: float


def compare(method: Outcomes, baseline: Outcomes) -> Comparison:
    """Compare two runs of at least two turns on the same problems."""
    acc_t2_P = _differences(method, baseline, "acc_t2")
    single = max(method.scored_PK.shape[1], baseline.scored_PK.shape[1]) == 1
    if single:
        p_value = intervals.mcnemar(int((acc_t2_P > 0).sum()), int((acc_t2_P < 0).sum()))
    else:
        p_value = intervals.sign_flip(acc_t2_P)
    return Comparison(
        problems=acc_t2_P.size,
        acc_t2=intervals.paired_bootstrap(acc_t2_P),
        delta=difference(method, baseline, "delta"),
        p_value=p_value,
    )


Figure = Literal["acc_t1", "acc_t2", "delta", "i_to_c", "c_to_i"]


def difference(method: Outcomes, baseline: Outcomes, figure: Figure) -> Estimate:
    """One of the five metrics, method minus baseline on the problems of both, with a paired bootstrap interval."""
    return intervals.paired_bootstrap(_differences(method, baseline, figure))


def _differences(method: Outcomes, baseline: Outcomes, figure: Figure) -> Floats:
    """The difference on each problem that both were scored on, in the method's order."""
    ours, theirs = _per_problem(method, figure), _per_problem(baseline, figure)
    # Rounded, so that equal differences of shares are equal numbers, which the bootstrap counts.
    return np.array([ours[problem] - theirs[problem] for problem in ours if problem in theirs]).round(12)


def _per_problem(run: Outcomes, figure: Figure) -> dict[str, float]:
    """The figure on each scored problem, a mean over its samples."""
    gains_PK, losses_PK = _flips(run, 1, 2)
    share_P = {
        "acc_t1": lambda: run.share_P(run.at(1)),
        "acc_t2": lambda: run.share_P(run.at(2)),
        "delta": lambda: run.share_P(gains_PK) - run.share_P(losses_PK),
        "i_to_c": lambda: run.share_P(gains_PK),
        "c_to_i": lambda: run.share_P(losses_PK),
    }[figure]()
    scored = [problem for problem, samples in zip(run.problem_ids, run.samples_P, strict=True) if samples]
    return dict(zip(scored, share_P.tolist(), strict=True))


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
