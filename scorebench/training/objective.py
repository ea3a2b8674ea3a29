"""The objective of multi-turn reinforcement learning, as a row of numbers for each turn.

The objective of a stage over turns t = 1..T, where x_t is the dialogue before attempt t (paper, Eqs. 2 to 4):

    J = sum_t  E_{x_t} E_{y_t ~ policy(.|x_t)} [ R_t - kl_t * KL(policy(.|x_t) || reference(.|x_t)) ]
    R_t = reward_t * r_t + alpha * (r_t - r_{t-1})                 (alpha from turn 2 on, where reward_t > 0)

r_t is 1 if attempt t is right and else 0. The discount between turns is 0: the dialogue x_t is taken as given although
the policy made it, so the tokens of y_t are paid R_t and nothing else (ICLR version, Fig. 9). One joint scalar for all
tokens would be another objective: with alpha = 10 it would pay the tokens of a right attempt 1 with -9.

The estimator, for K dialogues of each problem, all sampled from the policy that is updated:

    loss = - mean over dialogues of sum_t [ (A_t - kl_t * (KL_t - c_t)) * log policy(y_t|x_t) - kl_t * KL_t ]
    A_t  = R_t - mean of R_t over the K - 1 other dialogues of the problem;    KL_t = sum over the tokens of y_t of KL_s

KL_s is the exact KL over the vocabulary at token s. The KL of a reply depends on the policy in two ways: through each
KL_s, which gives the last term, and through the choice of the tokens, which gives the KL_t beside A_t (it enters there
as a number without a gradient). c_t is any number that does not depend on these dialogues; it only makes the estimate
less noisy. We take the mean KL_t of the step before. The mean of the loss's gradient is exactly the gradient of -J:
tests/training/test_objective.py proves it by enumeration.

The baseline of A_t is taken over all samples of the problem, not over second attempts of one first attempt: within one
first attempt r_1 is a constant, so alpha would only multiply turn 2's advantage by 1 + alpha. Over all samples, alpha
prefers dialogues that improve.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator


class Stage(BaseModel):
    """One stage of reinforcement learning: an objective, and how long to follow it.

    reward, kl: one number for each turn. A turn with reward 0 is only held near the reference, by its kl.
    alpha: the weight of the change from the attempt before, paid in the turns that have a reward.
    reference: what the KL holds the policy to: the base model, or the policy at the start of the stage (the paper's
        Stage 1(b) of three turns).
    steps: gradient steps. learning_rate: Adam's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    reward: Annotated[tuple[float, ...], Field(min_length=1)]
    kl: tuple[float, ...]
    alpha: float = 0.0
    reference: Literal["base", "start"] = "base"
    steps: Annotated[int, Field(ge=0)]
    learning_rate: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _one_kl_a_turn(self) -> Stage:
        if len(self.kl) != len(self.reward):
            raise ValueError(f"kl has {len(self.kl)} numbers and reward has {len(self.reward)}; give one for each turn")
        return self

    @property
    def turns(self) -> int:
        """Attempts in a dialogue."""
        return len(self.reward)


def turn_rewards(correct_PKT: torch.Tensor, stage: Stage) -> torch.Tensor:
    """R_t of every attempt (problems x samples x turns), from correctness in {0, 1}.

    With reward 1 and alpha 10, attempt 2 gets 0, 11, 1, -10 for (r1, r2) = (0,0), (0,1), (1,1), (1,0): paper, Eq. 4.
    """
    reward_T = correct_PKT.new_tensor(stage.reward)
    change_PKT = torch.diff(correct_PKT, dim=-1, prepend=correct_PKT[..., :1])
    return reward_T * correct_PKT + stage.alpha * (reward_T > 0) * change_PKT


def leave_one_out(rewards_PKT: torch.Tensor, loss_mask_PKT: torch.Tensor) -> torch.Tensor:
    """Advantages: each R_t minus the mean R_t of the problem's other samples at that turn (RLOO, Ahmadian et al. 2024).

    loss_mask_PKT is 1 where the policy sampled the attempt. It is 0 where the attempt was given (an offline first
    attempt) or has no verdict: such an attempt has no advantage and enters no baseline. The only sample of a problem
    has no advantage either.
    """
    counted_PKT = rewards_PKT * loss_mask_PKT
    others_PKT = loss_mask_PKT.sum(1, keepdim=True) - loss_mask_PKT
    mean_PKT = (counted_PKT.sum(1, keepdim=True) - counted_PKT) / others_PKT.clamp(min=1)
    return (rewards_PKT - mean_PKT) * loss_mask_PKT * (others_PKT > 0)


def credits(correct_PKT: torch.Tensor, loss_mask_PKT: torch.Tensor, stage: Stage) -> tuple[torch.Tensor, torch.Tensor]:
    """The advantage and the KL weight of every attempt.

    They are scaled so that, when the loss is divided by the number of dialogues, each turn's terms are means over the
    attempts of that turn with mask 1. Where every attempt has mask 1, the scale is 1. Where some first attempts are
    given, turn 1 has fewer attempts than there are dialogues.
    """
    dialogues = loss_mask_PKT.shape[0] * loss_mask_PKT.shape[1]
    scaled_PKT = loss_mask_PKT * (dialogues / loss_mask_PKT.sum((0, 1)).clamp(min=1))
    advantage_PKT = leave_one_out(turn_rewards(correct_PKT, stage), loss_mask_PKT)
    return advantage_PKT * scaled_PKT, scaled_PKT * scaled_PKT.new_tensor(stage.kl)


def dialogue_loss(
    logp_N: torch.Tensor,
    kl_N: torch.Tensor,
    dialogue_N: torch.Tensor,
    turn_N: torch.Tensor,
    advantage_BT: torch.Tensor,
    kl_weight_BT: torch.Tensor,
    kl_baseline_T: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss above, summed over B dialogues, and the KL of each reply, KL_BT.

    Each of the N sampled tokens comes with its log-probability, its exact KL, its dialogue (0..B-1) and its turn
    (0..T-1). The caller divides the sum by a constant, the number of dialogues of the step: a mean over tokens would
    pay the tokens of long replies less.
    """
    kl_BT = torch.zeros_like(kl_weight_BT).index_put((dialogue_N, turn_N), kl_N.detach(), accumulate=True)
    pay_BT = advantage_BT - kl_weight_BT * (kl_BT - kl_baseline_T)
    at = (dialogue_N, turn_N)
    return -(pay_BT[at] * logp_N - kl_weight_BT[at] * kl_N).sum(), kl_BT
