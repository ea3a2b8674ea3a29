"""One gradient step on a rollout, in micro-batches by token budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from scorebench import ranks
from scorebench.training.logprobs import token_stats
from scorebench.training.objective import Stage, dialogue_loss, leave_one_out, turn_rewards
from scorebench.training.optimizer import backward, parameters
from scorebench.training.rollout import Rollout, as_sequences
from scorebench.training.sharding import number, shared_out
from scorebench.training.weights import recomputed
from scorebench.types import Episode

_CLIP = 1.0  # of the gradient's norm; the paper gives none


@dataclass(frozen=True)
class UpdateStats:
    """What the update saw, by turn, as means over dialogues: KL of a reply (nats), its tokens, their entropy (nats).

    loss: the mean over the dialogues, as objective.py has it.
    worst_logprob_gap: the largest difference between a token's log-probability here and in sampling. Were it large, the
        model trained would not be the model that sampled.
    """

    loss: float
    kl_T: list[float]
    tokens_T: list[float]
    entropy_T: list[float]
    grad_norm: float
    worst_logprob_gap: float


def update(
    policy: Any,
    reference: Any,
    optimizer: torch.optim.Optimizer,
    rollout: Rollout,
    stage: Stage,
    kl_baseline_T: Sequence[float],
    temperature: float,
    budget: int,
) -> UpdateStats:
    """Moves the policy one step along the stage's objective (objective.py), `budget` tokens in memory at a time.

    kl_baseline_T: the kl_T of the step before. Of several processes each is given the whole rollout, and works on its
    share of the dialogues; the gradient is that of all of them, and so are the statistics.
    """
    count, turns = len(rollout.episodes), stage.turns
    device = policy.device
    advantage_PKT = leave_one_out(turn_rewards(rollout.correct_PKT, stage), rollout.counts_PKT)
    advantage_BT = advantage_PKT.view(count, turns).to(device)
    kl_weight_BT = (torch.tensor(stage.kl) * rollout.counts_PKT).view(count, turns).to(device)
    baseline_T = torch.tensor(kl_baseline_T, device=device)
    sums_3T = torch.zeros(3, turns, device=device)
    losses = torch.zeros((), device=device)
    gap = 0.0
    optimizer.zero_grad(set_to_none=True)
    with shared_out(policy):
        for rows, weight in ranks.in_step(list(micro_batches(rollout.episodes, budget)), filler=[0]):
            episodes = [rollout.episodes[i] for i in rows]
            sequences = as_sequences(episodes, device)
            sampled_BL = sequences.turn_BL > 0
            with recomputed(policy):
                stats = token_stats(policy, reference, sequences.ids_BL, sampled_BL, temperature)
            dialogue_N = sampled_BL.nonzero()[:, 0]
            turn_N = sequences.turn_BL[sampled_BL] - 1
            loss, kl_BT = dialogue_loss(
                stats.logp_N, stats.kl_N, dialogue_N, turn_N, advantage_BT[rows], kl_weight_BT[rows], baseline_T
            )
            backward(loss * (weight * ranks.count()) / count, optimizer)  # the mean over the processes will be taken
            losses += weight * loss.detach()
            sums_3T[0] += weight * kl_BT.sum(0)
            sums_3T[1] += weight * torch.bincount(turn_N, minlength=turns)
            sums_3T[2] += weight * torch.bincount(turn_N, stats.entropy_N, minlength=turns)
            gap = max(gap, _gap(stats.logp_N, episodes))
        norm = torch.nn.utils.clip_grad_norm_(parameters(optimizer), _CLIP)
        optimizer.step()
    kl_T, tokens_T, entropy_T = ranks.total(sums_3T).tolist()
    return UpdateStats(
        loss=ranks.total(losses).item() / count,
        kl_T=[kl / count for kl in kl_T],
        tokens_T=[tokens / count for tokens in tokens_T],
        entropy_T=[e / max(tokens, 1) for e, tokens in zip(entropy_T, tokens_T, strict=True)],
        grad_norm=number(norm),
        worst_logprob_gap=max(ranks.everyones(gap)),
    )


def micro_batches(episodes: Sequence[Episode], budget: int) -> Iterator[list[int]]:
    """Indices of this process's episodes, longest first, in groups of at most `budget` tokens, padding included.

    A group has one episode at least. Dealt out by length, the episodes are as much work for one process as for another.
    """
    lengths = [_length(episode) for episode in episodes]
    group: list[int] = []
    for i in sorted(range(len(episodes)), key=lambda i: -lengths[i])[ranks.own() :: ranks.count()]:
        if group and lengths[group[0]] * (len(group) + 1) > budget:
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def _length(episode: Episode) -> int:
    last = episode.attempts[-1].reply
    return len(last.prompt_ids) + len(last.token_ids)


def _gap(logp_N: torch.Tensor, episodes: Sequence[Episode]) -> float:
    """Largest |log-probability here - in sampling| over the tokens; 0 where given ones have none to compare."""
    if any(a.reply.finish_reason == "given" for e in episodes for a in e.attempts):
        return 0.0
    sampled = [logp for e in episodes for a in e.attempts for logp in a.reply.logprobs]
    return (logp_N.detach() - torch.tensor(sampled, device=logp_N.device)).abs().max().item()
