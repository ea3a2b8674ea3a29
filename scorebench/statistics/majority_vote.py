"""Is a second look worth more than another sample? Parallel against sequential sampling at equal numbers of attempts.

SCoRe (arXiv 2409.12917, section 6.2): with a budget of 2K attempts a problem, either take 2K first attempts
(parallel), or K first attempts and a correction of each (sequential), and let the final answers vote: 2K of them, or K.

Each problem has one pool of dialogues. Both ways draw from it without replacement, many times, and a budget's figure is
the mean over the draws, so that it does not depend on one lucky draw. The bands are intervals over problems. The spread
of the problems' figures contains both sources of chance: problems differ, and so do the pools that were sampled.

Axes: P problems, M dialogues in a problem's pool, T turns (2), R draws, B votes of a draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scorebench.api.errors import UserError
from scorebench.api.types import Episode
from scorebench.statistics import intervals
from scorebench.statistics.intervals import Estimate, Floats

DRAWS = 200  # the error that they leave falls with the root of P: it is below 0.2 points from 300 problems on

VoteKey = Callable[[str, str], str | None]  # (problem id, reply) -> the key that equal votes share; None is no vote


@dataclass(frozen=True)
class SamplePool:
    """The dialogues on one problem.

    keys_MT: the vote of each attempt as a number from 0. Equal numbers are votes for the same answer; -1 is no vote.
    passed_MT: whether the attempt was right. tokens_MT: the sampled tokens of its turn, reviews included.
    """

    problem_id: str
    keys_MT: NDArray[np.int64]
    passed_MT: NDArray[np.bool_]
    tokens_MT: NDArray[np.int64]


@dataclass(frozen=True)
class Point:
    """Majority-vote accuracy at one budget.

    budget: attempts a problem. tokens: sampled tokens a problem that these attempts cost, a mean.
    """

    way: Literal["parallel", "sequential"]
    budget: int
    tokens: float
    accuracy: Estimate


@dataclass(frozen=True)
class Scaling:
    """Both curves of one method. differences: at each budget, sequential minus parallel on the same problems."""

    points: tuple[Point, ...]
    differences: dict[int, Estimate]
    problems: int


def pools(episodes: Sequence[Episode], vote_key: VoteKey) -> list[SamplePool]:
    """One pool a problem from dialogues of two attempts. Dialogues with an attempt that was not graded are left out.

    vote_key: gives the vote of a reply. Raises UserError for a dialogue of one attempt.
    """
    dialogues: dict[str, list[Episode]] = {}
    for episode in episodes:
        if len(episode.attempts) < 2:
            raise UserError(
                f"Problem {episode.problem_id} has a dialogue of one attempt; scaling needs runs of two turns."
            )
        graded = dialogues.setdefault(episode.problem_id, [])
        if all(attempt.verdict.outcome != "error" for attempt in episode.attempts[:2]):
            graded.append(episode)
    return [_pool(problem_id, graded, vote_key) for problem_id, graded in dialogues.items()]


def _pool(problem_id: str, dialogues: Sequence[Episode], vote_key: VoteKey) -> SamplePool:
    numbers: dict[str | None, int] = {None: -1}
    attempts_MT = [episode.attempts[:2] for episode in dialogues]
    texts_MT = [[attempt.reply.text for attempt in attempts] for attempts in attempts_MT]
    keys_MT = [
        [numbers.setdefault(vote_key(problem_id, text), len(numbers) - 1) for text in texts] for texts in texts_MT
    ]
    passed_MT = [[attempt.verdict.passed for attempt in attempts] for attempts in attempts_MT]
    tokens_MT = [[attempt.tokens for attempt in attempts] for attempts in attempts_MT]
    return SamplePool(
        problem_id,
        np.array(keys_MT, dtype=np.int64).reshape(-1, 2),
        np.array(passed_MT, dtype=bool).reshape(-1, 2),
        np.array(tokens_MT, dtype=np.int64).reshape(-1, 2),
    )


def scale(
    problems: Sequence[SamplePool],
    budgets: Sequence[int],
    draws: int = DRAWS,
    tell: Callable[[int], None] = lambda _: None,
) -> Scaling:
    """The two curves over the budgets. A budget is an even number of attempts a problem.

    tell: is called with the number of problems that are done. Raises UserError for an odd budget, and for one that is
    larger than a problem's pool.
    """
    _check(problems, budgets)
    rng = np.random.default_rng(intervals.SEED)
    parallel_PN = np.zeros((len(problems), len(budgets)))
    sequential_PN = np.zeros_like(parallel_PN)
    for p, pool in enumerate(problems):
        order_RM = rng.permuted(np.tile(np.arange(len(pool.keys_MT)), (draws, 1)), axis=1)
        for b, budget in enumerate(budgets):
            parallel_PN[p, b] = _vote(pool, order_RM[:, :budget], turn=0)
            sequential_PN[p, b] = _vote(pool, order_RM[:, : budget // 2], turn=1)
        tell(p + 1)
    size_P = np.array([len(pool.keys_MT) for pool in problems])
    first, both = (float(np.mean([pool.tokens_MT[:, :turns].sum(1).mean() for pool in problems])) for turns in (1, 2))
    points = []
    for b, budget in enumerate(budgets):
        parallel, sequential = (intervals.rate(score_PN[:, b], size_P) for score_PN in (parallel_PN, sequential_PN))
        points.append(Point("parallel", budget, budget * first, parallel))
        points.append(Point("sequential", budget, budget / 2 * both, sequential))
    differences_PN = sequential_PN - parallel_PN
    differences = {budget: intervals.paired_bootstrap(differences_PN[:, b]) for b, budget in enumerate(budgets)}
    return Scaling(tuple(points), differences, len(problems))


def check_budgets(budgets: Sequence[int]) -> None:
    """Raise UserError unless there are budgets, each an even number from 2."""
    if not budgets:
        raise UserError("Scaling needs at least one budget; give --budgets such as 2,4,8.")
    for budget in budgets:
        if budget < 2 or budget % 2:
            raise UserError(
                f"The budget {budget} cannot be halved into attempts and corrections; give even budgets from 2."
            )


def _check(problems: Sequence[SamplePool], budgets: Sequence[int]) -> None:
    check_budgets(budgets)
    if not problems:
        raise UserError("Scaling needs at least one problem; take a run that has episodes.")
    smallest = min(problems, key=lambda pool: len(pool.keys_MT))
    if len(smallest.keys_MT) < max(budgets):
        raise UserError(
            f"The budget {max(budgets)} needs as many graded dialogues a problem, and problem {smallest.problem_id} "
            f"has {len(smallest.keys_MT)}; sample more, finish the run, or give smaller budgets."
        )


def _vote(pool: SamplePool, drawn_RB: NDArray[np.int64], turn: int) -> float:
    keys_RB, passed_RB = pool.keys_MT[drawn_RB, turn], pool.passed_MT[drawn_RB, turn]
    return float(majority_scores(keys_RB, passed_RB).mean())


def majority_scores(keys_RB: NDArray[np.int64], passed_RB: NDArray[np.bool_]) -> Floats:
    """The chance that the majority's answer is right, for each draw.

    A tie is broken at random among the winning keys, so the mean over them counts. A key can cover right and wrong
    attempts (programs that agree on the visible inputs only). One of them is then handed in at random, so the share of
    right ones counts. Without any vote the answer is wrong.
    """
    draws = len(keys_RB)
    keys = int(keys_RB.max(initial=-1)) + 1
    if keys == 0:
        return np.zeros(draws)
    voting_RB = keys_RB >= 0
    slot_RB = np.arange(draws)[:, None] * keys + keys_RB
    size = draws * keys
    votes_RC = np.bincount(slot_RB[voting_RB], minlength=size).reshape(draws, keys)
    right_RC = np.bincount(slot_RB[voting_RB & passed_RB], minlength=size).reshape(draws, keys)
    most_R1 = votes_RC.max(axis=1, keepdims=True)
    winning_RC = (votes_RC == most_R1) & (votes_RC > 0)
    share_RC = np.where(winning_RC, right_RC / np.maximum(votes_RC, 1), 0.0)
    return share_RC.sum(axis=1) / np.maximum(winning_RC.sum(axis=1), 1)
