"""One gradient step on a rollout, in micro-batches by token budget."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from scorebench.api import distributed
from scorebench.api.errors import UserError
from scorebench.api.types import Episode
from scorebench.training.fsdp import number, shared_out
from scorebench.training.logprobs import TokenStats, token_stats
from scorebench.training.objective import Stage, credits, dialogue_loss
from scorebench.training.optimizer import backward, parameters
from scorebench.training.rollout import Rollout, Sequences, as_sequences, is_given, token_count, was_made
from scorebench.training.weights import recomputed

# How far log-probabilities may be from those of sampling, in nats, as the mean over the tokens of a step. Two programs
# in half precision differ by less than the first, and in float32 by less than the second.
_DRIFT_HALF, _DRIFT_FLOAT32 = 0.1, 1e-3


@dataclass(frozen=True)
class TurnStats:
    """What was measured on sampled replies, by turn: means over the replies of that turn; 0 where there are none.

    kl_T: KL of a reply to the reference, nats. tokens_T: tokens of a reply. entropy_T: nats, the mean over tokens.
    worst_logprob_gap, mean_logprob_gap: the largest and the mean difference between a token's log-probability here and
        in sampling. Were they large, the model trained would not be the model that sampled.
    """

    kl_T: list[float]
    tokens_T: list[float]
    entropy_T: list[float]
    worst_logprob_gap: float
    mean_logprob_gap: float


@dataclass(frozen=True)
class UpdateStats(TurnStats):
    """What the update saw.

    loss: the mean over the dialogues, as objective.py has it. grad_norm: of the gradient before it was clipped.
    clipped: whether it was.
    """

    loss: float
    grad_norm: float
    clipped: bool


def update(
    policy: Any,
    reference: Any,
    optimizer: torch.optim.Optimizer,
    rollout: Rollout,
    stage: Stage,
    kl_baseline_T: Sequence[float],
    temperature: float,
    budget: int,
    max_grad_norm: float | None = None,
) -> UpdateStats:
    """Moves the policy one step along the stage's objective (objective.py), `budget` tokens in memory at a time.

    kl_baseline_T: the kl_T of the step before. max_grad_norm: a gradient with a larger norm is scaled down to it; None
    leaves every gradient as it is. Of several processes each is given the whole rollout and works on its share of the
    dialogues; gradient and statistics are those of all of them.

    Raises UserError, and moves nothing, if the tokens were sampled from another distribution than the policy's: the
    gradient would be of another objective. There are no importance weights against that, because a difference beyond
    rounding is a fault (weights that did not arrive, another precision) and weights would hide it.
    """
    count, turns = len(rollout.episodes), stage.turns
    device = policy.device
    both_PKT = credits(rollout.correct_PKT, rollout.loss_mask_PKT, stage)
    advantage_BT, kl_weight_BT = (some_PKT.view(count, turns).to(device) for some_PKT in both_PKT)
    baseline_T = torch.tensor(kl_baseline_T, device=device)
    sums = _Sums(turns, device)
    optimizer.zero_grad(set_to_none=True)
    with shared_out(policy):
        for rows, weight in distributed.in_step(list(micro_batches(rollout.episodes, budget)), filler=[0]):
            episodes = [rollout.episodes[i] for i in rows]
            sequences = as_sequences(episodes, device)
            with recomputed(policy):
                stats = token_stats(policy, reference, sequences.ids_BL, sequences.turn_BL > 0, temperature)
            dialogue_N, turn_N = _places(sequences)
            loss, _ = dialogue_loss(
                stats.logp_N, stats.kl_N, dialogue_N, turn_N, advantage_BT[rows], kl_weight_BT[rows], baseline_T
            )
            # FSDP takes the mean of the processes' gradients, so each is multiplied by their number.
            backward(loss * (weight * distributed.count()) / count, optimizer)
            if weight:
                sums.add(episodes, stats, turn_N, loss.item())
        measured = sums.over_processes()
        _check_drift(measured.mean_logprob_gap, policy.dtype)
        norm, clipped = clip(optimizer, max_grad_norm)
        optimizer.step()
    return UpdateStats(**vars(measured), loss=sums.loss / count, grad_norm=norm, clipped=clipped)


@torch.no_grad()
def measure(policy: Any, reference: Any, rollout: Rollout, temperature: float, budget: int) -> TurnStats:
    """KL, length and entropy of the sampled replies, without a step. All processes call it, with the whole rollout."""
    turns = rollout.correct_PKT.shape[-1]
    sums = _Sums(turns, policy.device)
    for rows, weight in distributed.in_step(list(micro_batches(rollout.episodes, budget)), filler=[0]):
        episodes = [rollout.episodes[i] for i in rows]
        sequences = as_sequences(episodes, policy.device)
        stats = token_stats(policy, reference, sequences.ids_BL, sequences.turn_BL > 0, temperature)
        if weight:
            sums.add(episodes, stats, _places(sequences)[1], 0.0)
    return sums.over_processes()


def clip(optimizer: torch.optim.Optimizer, max_grad_norm: float | None) -> tuple[float, bool]:
    """Scales the gradient down to this norm where it is larger; its norm before, and whether it was scaled."""
    limit = math.inf if max_grad_norm is None else max_grad_norm
    norm = number(torch.nn.utils.clip_grad_norm_(parameters(optimizer), limit))
    return norm, norm > limit


def _places(sequences: Sequences) -> tuple[torch.Tensor, torch.Tensor]:
    """The dialogue and the turn of each sampled token, from 0."""
    sampled_BL = sequences.turn_BL > 0
    return sampled_BL.nonzero()[:, 0], sequences.turn_BL[sampled_BL] - 1


class _Sums:
    """What is added up over micro-batches, and then over processes."""

    def __init__(self, turns: int, device: torch.device) -> None:
        self.by_turn_4T = torch.zeros(4, turns, dtype=torch.float64, device=device)
        self.kl_T, self.tokens_T, self.entropy_T, self.replies_T = self.by_turn_4T
        self.loss = self.gap = self.worst_gap = 0.0

    def add(self, episodes: Sequence[Episode], stats: TokenStats, turn_N: torch.Tensor, loss: float) -> None:
        """Adds a micro-batch."""
        turns = len(self.kl_T)
        self.kl_T += torch.bincount(turn_N, stats.kl_N.detach().double(), minlength=turns)
        self.tokens_T += torch.bincount(turn_N, minlength=turns)
        self.entropy_T += torch.bincount(turn_N, stats.entropy_N.double(), minlength=turns)
        for episode in episodes:
            for turn, attempt in enumerate(episode.attempts):
                self.replies_T[turn] += was_made(attempt) and not is_given(attempt)
        self.loss += loss
        gap_N = _gaps(stats.logp_N, episodes)
        self.gap += gap_N.sum().item()
        self.worst_gap = max(self.worst_gap, gap_N.max().item() if len(gap_N) else 0.0)

    def over_processes(self) -> TurnStats:
        """The means over all processes; self.loss becomes the sum over them."""
        distributed.total(self.by_turn_4T)
        losses, gaps, worst = zip(*distributed.everyones((self.loss, self.gap, self.worst_gap)), strict=True)
        self.loss = sum(losses)
        kl_T, tokens_T, entropy_T, replies_T = self.by_turn_4T
        return TurnStats(
            kl_T=(kl_T / replies_T.clamp(min=1)).tolist(),
            tokens_T=(tokens_T / replies_T.clamp(min=1)).tolist(),
            entropy_T=(entropy_T / tokens_T.clamp(min=1)).tolist(),
            worst_logprob_gap=max(worst),
            mean_logprob_gap=sum(gaps) / max(tokens_T.sum().item(), 1),
        )


def micro_batches(episodes: Sequence[Episode], budget: int) -> Iterator[list[int]]:
    """Indices of this process's episodes, longest first, in groups of at most `budget` tokens, padding included.

    A group has one episode at least. The episodes are dealt out by length, so that every process has as much work.
    """
    lengths = [token_count(episode) for episode in episodes]
    group: list[int] = []
    for i in sorted(range(len(episodes)), key=lambda i: -lengths[i])[distributed.own() :: distributed.count()]:
        if group and lengths[group[0]] * (len(group) + 1) > budget:
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def _gaps(logp_N: torch.Tensor, episodes: Sequence[Episode]) -> torch.Tensor:
    """|log-probability here - in sampling| of each token that was sampled."""
    sampled = [logp for e in episodes for a in e.attempts if not is_given(a) for logp in a.reply.logprobs]
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
