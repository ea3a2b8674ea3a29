"""On-policy rollouts: the dialogues of evaluation, played with the policy as it is now, as arrays to train on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from scorebench.api import distributed
from scorebench.api.types import Episode, Problem, Reply
from scorebench.dialogue.player import EpisodeRequest, Player


@dataclass(frozen=True)
class Rollout:
    """P problems x K dialogues of T turns.

    episodes: P x K of them, problem by problem.
    correct_PKT: 1 where an attempt passed.
    loss_mask_PKT: 1 where an attempt was sampled here and its change from the one before is known; an error of the
        harness is no wrong answer, so it is neither rewarded nor in a baseline.
    """

    episodes: Sequence[Episode]
    correct_PKT: torch.Tensor
    loss_mask_PKT: torch.Tensor


async def collect(
    player: Player, problems: Sequence[Problem], samples: int, firsts: Sequence[Reply | None] | None = None
) -> Rollout:
    """Plays `samples` dialogues on each problem, all at once.

    Of several processes each plays its share of the problems, and all are given the whole.
    firsts: fixed first attempts, one a dialogue, None where the policy makes its own.
    """
    count = len(problems) * samples
    given = firsts or [None] * count
    jobs = [EpisodeRequest(problems[i // samples], i % samples, given[i]) for i in range(count)]
    own = [job for i, job in enumerate(jobs) if i // samples % distributed.count() == distributed.own()]
    played = [episode async for episode in player.episodes(own, at_once=count)]
    episodes = {(e.problem_id, e.sample): e for part in distributed.everyones(played) for e in part}
    return as_rollout([episodes[job.problem.id, job.sample] for job in jobs], samples)


def joined(longer: Rollout, shorter: Rollout) -> Rollout:
    """Two rollouts on the same problems as one; the turns that the shorter dialogues do not have count for nothing."""
    count, a, b = (len(longer.correct_PKT), longer.correct_PKT.shape[1], shorter.correct_PKT.shape[1])
    episodes = [
        e for p in range(count) for e in (*longer.episodes[p * a : (p + 1) * a], *shorter.episodes[p * b : (p + 1) * b])
    ]
    missing = (0, longer.correct_PKT.shape[2] - shorter.correct_PKT.shape[2])
    correct_PKT = torch.cat([longer.correct_PKT, torch.nn.functional.pad(shorter.correct_PKT, missing)], dim=1)
    loss_mask_PKT = torch.cat([longer.loss_mask_PKT, torch.nn.functional.pad(shorter.loss_mask_PKT, missing)], dim=1)
    return Rollout(episodes, correct_PKT, loss_mask_PKT)


async def first_attempts(player: Player, problems: Sequence[Problem], samples: int) -> list[list[Reply]]:
    """`samples` first attempts on each problem, as fixed ones for dialogues of another policy."""
    rollout = await collect(player, problems, samples)
    replies = [replace(e.attempts[0].reply, finish_reason="given") for e in rollout.episodes]
    return [replies[i : i + samples] for i in range(0, len(replies), samples)]


def as_rollout(episodes: Sequence[Episode], samples: int) -> Rollout:
    """Episodes, problem by problem, with their verdicts as arrays."""
    attempts = [e.attempts for e in episodes]
    shape = (-1, samples, len(attempts[0]))
    correct = torch.tensor([[float(a.verdict.passed) for a in row] for row in attempts])
    counts = [
        [
            a.reply.finish_reason != "given" and all(b.verdict.outcome != "error" for b in row[: t + 1])
            for t, a in enumerate(row)
        ]
        for row in attempts
    ]
    return Rollout(episodes, correct.view(shape), torch.tensor(counts).float().view(shape))


@dataclass(frozen=True)
class Sequences:
    """Dialogues as one sequence of ids each, padded on the right.

    turn_BL: 0 at context and padding, t at the sampled tokens of attempt t.
    """

    ids_BL: torch.Tensor
    turn_BL: torch.Tensor


def as_sequences(episodes: Sequence[Episode], device: torch.device) -> Sequences:
    """The ids as sampled: each attempt's prompt must begin with all that came before it.

    Raises RuntimeError otherwise, since the ids trained on would not be those sampled.
    """
    rows: list[tuple[list[int], list[int]]] = []
    for episode in episodes:
        ids: list[int] = []
        turns: list[int] = []
        for number, attempt in enumerate(episode.attempts, start=1):
            prompt, reply = attempt.reply.prompt_ids, attempt.reply.token_ids
            if list(prompt[: len(ids)]) != ids:
                raise RuntimeError(f"attempt {number} on {episode.problem_id} does not continue the attempt before it")
            turns += [0] * (len(prompt) - len(ids)) + [number] * len(reply)
            ids = [*prompt, *reply]
        rows.append((ids, turns))
    length = max(len(ids) for ids, _ in rows)
    padded = [[part + [0] * (length - len(part)) for part in row] for row in rows]
    both = torch.tensor(padded, device=device)
    return Sequences(both[:, 0], both[:, 1])
