"""The verdicts of a run as arrays, and several seeds of one configuration as one.

An attempt whose verdict is "error" was not graded: it is neither right nor wrong. Its whole episode is left out of
every rate, so that all figures stand on the same episodes. The denominator never shrinks silently: `Outcomes` carries
the number of problems that the rates are over and the number of episodes left out.

Axes: P problems, K samples of a problem, T turns, S seeds. Turns are counted from 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scorebench.api.errors import UserError
from scorebench.api.types import Attempt, Episode
from scorebench.statistics.intervals import Floats

UNRECORDED, STATED, LOOSE, NONE = 0, 1, 2, 3  # how an answer was found; see reading_of
READINGS = {"": UNRECORDED, "stated": STATED, "loose": LOOSE, "none": NONE}


@dataclass(frozen=True)
class Outcomes:
    """The verdicts of a run, or of several seeds side by side, as arrays.

    problem_ids: the P problems, in order of first appearance.
    passed_PKT: whether an attempt passed; False where the sample was not scored.
    scored_PK: whether there is such a sample and all its attempts were graded. Rows of unequal length are padded.
    errors: how many episodes were left out because an attempt could not be graded.
    seed_K: which of the pooled seeds a sample is of, from 0.
    readings_PKT: how each attempt's answer was found, in the numbers above.
    echoes_PKT: whether the answer stands word for word in the problem while the reference does not.
    changed_PK: whether attempt 2 gives another answer than attempt 1, letter by letter. Two attempts without an
        answer give the same.
    revised_PK: what the method's own check of attempt 1 led to: 1 another attempt, 0 the answer was kept, -1 the
        method checks nothing, or the dialogue is not recorded.
    tokens_PKT: the sampled tokens of each turn, reviews included.
    """

    problem_ids: tuple[str, ...]
    passed_PKT: NDArray[np.bool_]
    scored_PK: NDArray[np.bool_]
    errors: int
    seed_K: NDArray[np.int64]
    readings_PKT: NDArray[np.int8]
    echoes_PKT: NDArray[np.bool_]
    changed_PK: NDArray[np.bool_]
    revised_PK: NDArray[np.int8]
    tokens_PKT: NDArray[np.int64]

    @property
    def turns(self) -> int:
        return self.passed_PKT.shape[2]

    @property
    def seeds(self) -> int:
        """How many seeds stand side by side."""
        return int(self.seed_K.max(initial=0)) + 1

    @property
    def samples_P(self) -> NDArray[np.int64]:
        """How many samples of each problem were scored."""
        return self.scored_PK.sum(axis=1)

    @property
    def n(self) -> int:
        """The denominator: the problems with at least one scored sample."""
        return int((self.samples_P > 0).sum())

    def share_P(self, counted_PK: NDArray[Any]) -> Floats:
        """The mean of `counted_PK` over each scored problem's samples; problems without any drop out."""
        has_P = self.samples_P > 0
        return np.where(self.scored_PK, counted_PK, 0).sum(axis=1)[has_P] / self.samples_P[has_P]

    def share_SP(self, counted_PK: NDArray[Any]) -> Floats:
        """As share_P, of each seed's samples apart; nan where a seed has no scored sample of a problem."""
        has_P = self.samples_P > 0
        counted_PK = np.where(self.scored_PK, counted_PK, 0)
        with np.errstate(invalid="ignore"):
            return np.array(
                [
                    counted_PK[:, self.seed_K == seed].sum(axis=1)[has_P]
                    / self.scored_PK[:, self.seed_K == seed].sum(axis=1)[has_P]
                    for seed in range(self.seeds)
                ]
            )

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
    places = [
        (p, k, samples[sample])
        for p, samples in enumerate(by_problem.values())
        for k, sample in enumerate(sorted(samples))
    ]
    shape = (len(by_problem), max(map(len, by_problem.values()), default=0))
    graded = [place for place in places if all(a.verdict.outcome != "error" for a in place[2].attempts)]
    scored_PK = np.zeros(shape, dtype=bool)
    for p, k, _ in graded:
        scored_PK[p, k] = True

    def of_attempts(value: Callable[[Attempt], Any], dtype: Any) -> NDArray[Any]:
        array_PKT = np.zeros((*shape, lengths[0] if lengths else 0), dtype=dtype)
        for p, k, episode in graded:
            array_PKT[p, k] = [value(attempt) for attempt in episode.attempts]
        return array_PKT

    def of_episodes(value: Callable[[Episode], Any], dtype: Any) -> NDArray[Any]:
        array_PK = np.zeros(shape, dtype=dtype)
        for p, k, episode in graded:
            array_PK[p, k] = value(episode)
        return array_PK

    checks = any(revised(episode) is False for episode in episodes)
    return Outcomes(
        problem_ids=tuple(by_problem),
        passed_PKT=of_attempts(lambda attempt: attempt.verdict.passed, bool),
        scored_PK=scored_PK,
        errors=len(places) - len(graded),
        seed_K=np.zeros(shape[1], dtype=np.int64),
        readings_PKT=of_attempts(reading_of, np.int8),
        echoes_PKT=of_attempts(lambda attempt: attempt.verdict.echo, bool),
        changed_PK=of_episodes(_changed, bool),
        revised_PK=of_episodes(lambda episode: _number(revised(episode)) if checks else -1, np.int8),
        tokens_PKT=of_attempts(lambda attempt: attempt.tokens, np.int64),
    )


def reading_of(attempt: Attempt) -> int:
    """How an attempt's answer was found. Rows of older versions say only whether there is one."""
    verdict = attempt.verdict
    if not verdict.reading and verdict.answer is None and not verdict.passed:
        return NONE
    return READINGS[verdict.reading]


def _changed(episode: Episode) -> bool:
    answers = [attempt.verdict.answer for attempt in episode.attempts[:2]]
    return len(set(answers)) > 1


def revised(episode: Episode) -> bool | None:
    """Whether the method wrote attempt 2 anew (True) or kept attempt 1 (False); None where the record does not say.

    A method that checks its own answer and finds it right keeps it: the answer stands in the transcript once and is
    both attempts. A run in which no dialogue keeps its answer is taken for one whose method checks nothing.
    """
    if len(episode.attempts) < 2 or not episode.transcript:
        return None
    first, second = (attempt.reply.text for attempt in episode.attempts[:2])
    answers = [message["content"] for message in episode.transcript if message["role"] == "assistant"]
    return first != second or answers.count(first) > 1


def _number(value: bool | None) -> int:
    return -1 if value is None else int(value)


def pool(runs: Sequence[Outcomes]) -> Outcomes:
    """Several seeds as one run: each seed's samples become further samples of the same problems.

    Which samples are of which seed is kept, so that intervals tell how far other problems and other seeds would move
    the mean (`statistics.seeds`).
    """
    ids = tuple(dict.fromkeys(problem for run in runs for problem in run.problem_ids))
    place = {problem: p for p, problem in enumerate(ids)}
    width = sum(run.scored_PK.shape[1] for run in runs)
    turns = min(run.turns for run in runs)

    def joined(name: str) -> NDArray[Any]:
        parts = [getattr(run, name)[..., :turns] if name.endswith("T") else getattr(run, name) for run in runs]
        whole = np.zeros((len(ids), width, *parts[0].shape[2:]), dtype=parts[0].dtype)
        start = 0
        for run, part in zip(runs, parts, strict=True):
            whole[[place[problem] for problem in run.problem_ids], start : start + part.shape[1]] = part
            start += part.shape[1]
        return whole

    arrays = [field.name for field in fields(Outcomes) if field.name.endswith(("_PK", "_PKT"))]
    seed_K = np.repeat(np.arange(len(runs)), [run.scored_PK.shape[1] for run in runs])
    errors = sum(run.errors for run in runs)
    return Outcomes(problem_ids=ids, errors=errors, seed_K=seed_K, **{name: joined(name) for name in arrays})
