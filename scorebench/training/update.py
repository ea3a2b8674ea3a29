"""One gradient step on a rollout, in micro-batches by token budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from scorebench.api import distributed
from scorebench.api.errors import UserError
from scorebench.api.types import Episode
from scorebench.training.fsdp import number, shared_out
from scorebench.training.logprobs import token_stats
from scorebench.training.objective import Stage, dialogue_loss, leave_one_out, turn_rewards
from scorebench.training.optimizer import backward, parameters
from scorebench.training.rollout import Rollout, as_sequences
from scorebench.training.weights import recomputed

_CLIP = 1.0  # of the gradient's norm; the paper gives none
# How far log-probabilities may be from those of sampling, in nats, as the mean over tokens of a step: rounding of half
# precision in two programs stays below the first, and float32 below the second.
_DRIFT_HALF, _DRIFT_FLOAT32 = 0.1, 1e-3


@dataclass(frozen=True)
class UpdateStats:
    """What the update saw, by turn, as means over dialogues: KL of a reply (nats), its tokens, their entropy (nats).

    loss: the mean over the dialogues, as objective.py has it.
    worst_logprob_gap, mean_logprob_gap: the largest and the mean difference between a token's log-probability here and
        in sampling. Were they large, the model trained would not be the model that sampled.
    """

    loss: float
    kl_T: list[float]
    tokens_T: list[float]
    entropy_T: list[float]
    grad_norm: float
    worst_logprob_gap: float
    mean_logprob_gap: float


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

    Raises UserError, and moves nothing, if the tokens were sampled from another distribution than the policy's: the
    gradient would be of another objective. No importance weights make up for it, because a drift beyond rounding is a
    fault (weights that did not arrive, another precision), and weights would hide it.
    """
    count, turns = len(rollout.episodes), stage.turns
    device = policy.device
    advantage_PKT = leave_one_out(turn_rewards(rollout.correct_PKT, stage), rollout.loss_mask_PKT)
    advantage_BT = advantage_PKT.view(count, turns).to(device)
    kl_weight_BT = (torch.tensor(stage.kl) * rollout.loss_mask_PKT).view(count, turns).to(device)
    baseline_T = torch.tensor(kl_baseline_T, device=device)
    sums = _Sums(turns, device)
    optimizer.zero_grad(set_to_none=True)
    with shared_out(policy):
        for rows, weight in distributed.in_step(list(micro_batches(rollout.episodes, budget)), filler=[0]):
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
            backward(
                loss * (weight * distributed.count()) / count, optimizer
            )  # the mean over the processes will be taken
            if weight:
                sums.add(loss, kl_BT, turn_N, stats.entropy_N, _gaps(stats.logp_N, episodes))
        loss, gap, worst_gap = sums.over_processes()
        kl_T, tokens_T, entropy_T = sums.by_turn_3T.tolist()
        _check_drift(gap / sum(tokens_T), policy.dtype)
        norm = torch.nn.utils.clip_grad_norm_(parameters(optimizer), _CLIP)
        optimizer.step()
    return UpdateStats(
        loss=loss / count,
        kl_T=[kl / count for kl in kl_T],
        tokens_T=[tokens / count for tokens in tokens_T],
        entropy_T=[e / max(tokens, 1) for e, tokens in zip(entropy_T, tokens_T, strict=True)],
        grad_norm=number(norm),
        worst_logprob_gap=worst_gap,
        mean_logprob_gap=gap / sum(tokens_T),
    )


class _Sums:
    """What is added up over micro-batches, and then over processes."""

    def __init__(self, turns: int, device: torch.device) -> None:
        self.kl_T, self.tokens_T, self.entropy_T = self.by_turn_3T = torch.zeros(3, turns, device=device)
        self.loss = self.gap = self.worst_gap = 0.0

    def add(
        self,
        loss: torch.Tensor,
        kl_BT: torch.Tensor,
        turn_N: torch.Tensor,
        entropy_N: torch.Tensor,
        gap_N: torch.Tensor,
    ) -> None:
        turns = len(self.kl_T)
        self.kl_T += kl_BT.sum(0)
        self.tokens_T += torch.bincount(turn_N, minlength=turns)
        self.entropy_T += torch.bincount(turn_N, entropy_N, minlength=turns)
        self.loss += loss.item()
        self.gap += gap_N.sum().item()
        self.worst_gap = max(self.worst_gap, gap_N.max().item())

    def over_processes(self) -> tuple[float, float, float]:
        """Adds up what is by turn, in place; the whole loss, the sum of the gaps and the worst of them."""
        distributed.total(self.by_turn_3T)
        losses, gaps, worst = zip(*distributed.everyones((self.loss, self.gap, self.worst_gap)), strict=True)
        return sum(losses), sum(gaps), max(worst)


def micro_batches(episodes: Sequence[Episode], budget: int) -> Iterator[list[int]]:
    """Indices of this process's episodes, longest first, in groups of at most `budget` tokens, padding included.

    A group has one episode at least. Dealt out by length, the episodes are as much work for one process as for another.
    """
    lengths = [_length(episode) for episode in episodes]
    group: list[int] = []
    for i in sorted(range(len(episodes)), key=lambda i: -lengths[i])[distributed.own() :: distributed.count()]:
        if group and lengths[group[0]] * (len(group) + 1) > budget:
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def _length(episode: Episode) -> int:
    last = episode.attempts[-1].reply
    return len(last.prompt_ids) + len(last.token_ids)


def _gaps(logp_N: torch.Tensor, episodes: Sequence[Episode]) -> torch.Tensor:
    """|log-probability here - in sampling| of each token; 0 where given ones have none to compare."""
    if any(a.reply.finish_reason == "given" for e in episodes for a in e.attempts):
        return torch.zeros_like(logp_N.detach())
    sampled = [logp for e in episodes for a in e.attempts for logp in a.reply.logprobs]
    return (logp_N.detach() - torch.tensor(sampled, device=logp_N.device)).abs()


def _check_drift(mean_gap: float, dtype: torch.dtype) -> None:
    limit = _DRIFT_FLOAT32 if dtype == torch.float32 else _DRIFT_HALF
    if not mean_gap <= limit:
        advice = "take --engine hf if vLLM plays the rollouts"
        if dtype != torch.float32:
            advice += ", else --dtype float32"
        raise UserError(
            f"The engine that plays the rollouts and the policy in training disagree by {mean_gap:.2g} nats a token, "
            f"of which {limit:g} are allowed, so what was sampled cannot be trained on; {advice}."
        )
