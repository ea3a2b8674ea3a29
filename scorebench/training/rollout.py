"""On-policy rollouts: the dialogues of evaluation, played with the policy as it is now, as arrays to train on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from scorebench.api import distributed
from scorebench.api.types import Attempt, Episode, Problem, Reply, Verdict
from scorebench.dialogue.player import EpisodeRequest, Player


@dataclass(frozen=True)
class Rollout:
    """P problems x K dialogues of T turns.

    episodes: P x K of them, problem by problem.
    correct_PKT: 1 where an attempt is paid for being right (see `is_paid`).
    loss_mask_PKT: 1 where the policy sampled the attempt, and its verdict and all verdicts before it are known. An
        error of the harness is no wrong answer: such an attempt is not rewarded and enters no baseline.
    """

    episodes: Sequence[Episode]
    correct_PKT: torch.Tensor
    loss_mask_PKT: torch.Tensor


async def collect(
    player: Player,
    problems: Sequence[Problem],
    samples: int,
    firsts: Sequence[Reply | None] | None = None,
    pay_echoes: bool = False,
) -> Rollout:
    """Plays `samples` dialogues on each problem, all at once.

    Of several processes each plays its share of the problems, and every process gets the whole rollout. A problem that
    stands in `problems` more than once gets different dialogues each time.
    firsts: fixed first attempts, one for each dialogue, None where the policy makes its own.
    """
    count = len(problems) * samples
    given = firsts or [None] * count
    before = _earlier_places(problems)
    jobs = [
        EpisodeRequest(problems[i // samples], before[i // samples] * samples + i % samples, given[i])
        for i in range(count)
    ]
    own = [job for i, job in enumerate(jobs) if i // samples % distributed.count() == distributed.own()]
    played = [episode async for episode in player.episodes(own, at_once=count)]
    episodes = {(e.problem_id, e.sample): e for part in distributed.everyones(played) for e in part}
    return as_rollout([episodes[job.problem.id, job.sample] for job in jobs], samples, pay_echoes)


def _earlier_places(problems: Sequence[Problem]) -> list[int]:
    """For each place, how often its problem stands before it."""
    seen: dict[str, int] = {}
    places = []
    for problem in problems:
        places.append(seen.get(problem.id, 0))
        seen[problem.id] = places[-1] + 1
    return places


def joined(longer: Rollout, shorter: Rollout) -> Rollout:
    """Two rollouts on the same problems as one. The mask is 0 at the turns that the shorter dialogues do not have."""
    count, a, b = (len(longer.correct_PKT), longer.correct_PKT.shape[1], shorter.correct_PKT.shape[1])
    episodes = [
        e for p in range(count) for e in (*longer.episodes[p * a : (p + 1) * a], *shorter.episodes[p * b : (p + 1) * b])
    ]
    missing = (0, longer.correct_PKT.shape[2] - shorter.correct_PKT.shape[2])
    correct_PKT = torch.cat([longer.correct_PKT, torch.nn.functional.pad(shorter.correct_PKT, missing)], dim=1)
    loss_mask_PKT = torch.cat([longer.loss_mask_PKT, torch.nn.functional.pad(shorter.loss_mask_PKT, missing)], dim=1)
    return Rollout(episodes, correct_PKT, loss_mask_PKT)


def as_given(attempt: Attempt) -> Reply | None:
    """The reply as a fixed first attempt for a dialogue of another policy; None where the engine made none."""
    return replace(attempt.reply, finish_reason="given") if was_made(attempt) else None


def as_rollout(episodes: Sequence[Episode], samples: int, pay_echoes: bool = False) -> Rollout:
    """Episodes, problem by problem, with their verdicts as arrays."""
    attempts = [e.attempts for e in episodes]
    shape = (-1, samples, len(attempts[0]))
    correct = torch.tensor([[float(is_paid(a.verdict, pay_echoes)) for a in row] for row in attempts])
    mask = [
        [not is_given(a) and all(b.verdict.outcome != "error" for b in row[: t + 1]) for t, a in enumerate(row)]
        for row in attempts
    ]
    return Rollout(episodes, correct.view(shape), torch.tensor(mask).float().view(shape))


def is_paid(verdict: Verdict, pay_echoes: bool) -> bool:
    """Whether training counts the attempt as right.

    An attempt can pass by repeating a formula of its problem. Paying it would teach that trick, so it counts as right
    only where `pay_echoes` asks for that.
    """
    return verdict.passed and (pay_echoes or not getattr(verdict, "echo", False))


def is_given(attempt: Attempt) -> bool:
    """Whether the attempt was put into the dialogue instead of being sampled."""
    return attempt.reply.finish_reason == "given"


def was_made(attempt: Attempt) -> bool:
    """Whether there is a reply at all: an engine that failed has none, and so no prompt."""
    return bool(attempt.reply.prompt_ids)


def outcomes(rollout: Rollout) -> dict[str, Any]:
    """What the dialogues came to, by turn where it is a list: for logs, the base's rollout, and validation.

    correct: the share of right attempts among those that the policy sampled and that have a verdict.
    i_to_c, c_to_i: shares of the dialogues whose first and last attempt have a verdict. unchanged: the share of the
        dialogues with two attempts or more whose first and last text are the same.
    length: mean tokens of the attempts that the policy sampled. truncated, errors, echoes: how many attempts.
    replies, sampled_tokens: all that was sampled, given first attempts included: the base sampled those.
    """
    attempts = [e.attempts for e in rollout.episodes]
    sampled_T = [[row[t] for row in attempts if t < len(row) and _was_sampled(row[t])] for t in range(_turns(attempts))]
    made = [a for row in attempts for a in row if was_made(a)]
    pairs = [(row[0], row[-1]) for row in attempts if len(row) > 1 and was_made(row[-1])]
    return {
        "correct": correct_by_turn(rollout),
        **_flips(rollout),
        "unchanged": sum(first.reply.text == last.reply.text for first, last in pairs) / max(len(pairs), 1),
        "length": [sum(a.reply.tokens for a in turn) / max(len(turn), 1) for turn in sampled_T],
        "truncated": sum(a.reply.finish_reason == "length" for a in made),
        "errors": sum(a.verdict.outcome == "error" for row in attempts for a in row),
        "echoes": sum(a.verdict.passed and getattr(a.verdict, "echo", False) for a in made),
        "replies": len(made),
        "sampled_tokens": sum(a.tokens or len(a.reply.token_ids) for a in made),
    }


def correct_by_turn(rollout: Rollout) -> list[float]:
    """The share of right attempts by turn, over those that were sampled and have a verdict."""
    mask_PKT = rollout.loss_mask_PKT
    return ((rollout.correct_PKT * mask_PKT).sum((0, 1)) / mask_PKT.sum((0, 1)).clamp(min=1)).tolist()


def _flips(rollout: Rollout) -> dict[str, float]:
    """Shares of the dialogues that go from wrong to right and from right to wrong; an error is neither."""
    correct = rollout.correct_PKT.flatten(0, 1).tolist()
    known = [
        (row[0], row[len(e.attempts) - 1])
        for row, e in zip(correct, rollout.episodes, strict=True)
        if len(e.attempts) > 1 and all(e.attempts[t].verdict.outcome != "error" for t in (0, -1))
    ]
    count = max(len(known), 1)
    return {"i_to_c": known.count((0.0, 1.0)) / count, "c_to_i": known.count((1.0, 0.0)) / count}


def _was_sampled(attempt: Attempt) -> bool:
    return was_made(attempt) and not is_given(attempt)


def _turns(attempts: Sequence[Sequence[Attempt]]) -> int:
    return max(map(len, attempts), default=0)


@dataclass(frozen=True)
class Sequences:
    """Dialogues as one sequence of ids each, padded on the right.

    turn_BL: 0 at context, given attempts and padding; t at the sampled tokens of attempt t.
    """

    ids_BL: torch.Tensor
    turn_BL: torch.Tensor


def as_sequences(episodes: Sequence[Episode], device: torch.device) -> Sequences:
    """The ids as sampled. A dialogue ends with its last token that was sampled.

    Raises RuntimeError where an attempt's prompt does not begin with all that came before it: then the ids to train on
    would not be those that were sampled.
    """
    rows = [_as_sequence(episode) for episode in episodes]
    length = max(len(ids) for ids, _ in rows)
    padded = [[part + [0] * (length - len(part)) for part in row] for row in rows]
    both = torch.tensor(padded, device=device)
    return Sequences(both[:, 0], both[:, 1])


def _as_sequence(episode: Episode) -> tuple[list[int], list[int]]:
    """The ids of one dialogue and the turn of each; at least two ids, as a forward pass needs some."""
    ids: list[int] = []
    turns: list[int] = []
    for number, attempt in enumerate(episode.attempts, start=1):
        prompt, reply = attempt.reply.prompt_ids, attempt.reply.token_ids
        if not reply:
            continue  # an empty reply, or an engine that failed: nothing was sampled
        if list(prompt[: len(ids)]) != ids:
            raise RuntimeError(f"attempt {number} on {episode.problem_id} does not continue the attempt before it")
        turns += [0] * (len(prompt) - len(ids)) + [0 if is_given(attempt) else number] * len(reply)
        ids = [*prompt, *reply]
    return (ids, turns) if ids else ([0, 0], [0, 0])


def token_count(episode: Episode) -> int:
    """The length of the dialogue as a sequence."""
    return max([len(a.reply.prompt_ids) + len(a.reply.token_ids) for a in episode.attempts if a.reply.token_ids] or [2])
