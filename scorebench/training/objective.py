"""What each token is paid for: the objective of multi-turn reinforcement learning, as a row of numbers for each turn.

The objective of a stage over turns t = 1..T, with x_t the dialogue before attempt t (paper, Eqs. 2 to 4):

    J = sum_t  E_{x_t} E_{y_t ~ policy(.|x_t)} [ R_t - kl_t * KL(policy(.|x_t) || reference(.|x_t)) ]
    R_t = reward_t * r_t + bonus * (r_t - r_{t-1})                  (the bonus from turn 2 on, where reward_t > 0)

The credit is by turn, discount 0: x_t, though the policy made it, is taken as given, so the tokens of y_t are paid R_t
and nothing else (ICLR version, Fig. 9). One joint scalar on all tokens would be another objective: with bonus 10 it
pays the tokens of attempt 1 with -9 for being right.

The estimator, for K dialogues of each problem, all sampled from the policy that is updated:

    loss = - mean over dialogues of sum_t [ (A_t - kl_t * (KL_t - c_t)) * log policy(y_t|x_t) - kl_t * KL_t ]
    A_t  = R_t - mean of R_t over the K - 1 other dialogues of the problem;    KL_t = sum over the tokens of y_t of KL_s

KL_s is exact over the vocabulary. The KL of a reply depends on the policy in two ways: through each KL_s, which is the
last term, and through which tokens are visited, which is the KL_t beside A_t (a number there, without a gradient). c_t
is any number that does not depend on these dialogues, and only makes the estimate less noisy: the mean KL_t of the step
before. The mean of the loss's gradient is the gradient of -J, to the last digit: tests/training/test_objective.py
enumerates it.

The baseline is over all samples of the problem, not over second attempts of one first attempt: within one first attempt
r_1 is a constant, and the bonus would be a mere factor 1 + bonus on turn 2. Over all of them it is a true preference
for dialogues that improve.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field


class Stage(BaseModel):
    """One stage of reinforcement learning: an objective and how long to follow it.

    reward, kl: one number a turn. A turn with reward 0 is held near the reference by its kl alone.
    bonus: the paper's alpha, paid for the change from the attempt before, in the turns that are rewarded.
    reference: what the KL holds the policy to: the base model, or the policy as it was at the start of the stage (the
        paper's Stage 1(b) of three turns).
    steps: gradient steps; learning_rate: Adam's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    reward: tuple[float, ...]
    kl: tuple[float, ...]
    alpha: float = 0.0
    reference: Literal["base", "start"] = "base"
    steps: Annotated[int, Field(ge=0)]
    learning_rate: Annotated[float, Field(gt=0)]

    @property
    def turns(self) -> int:
        return len(self.reward)


def turn_rewards(correct_PKT: torch.Tensor, stage: Stage) -> torch.Tensor:
    """R_t of every attempt (problems x samples x turns), from correctness in {0, 1}.

    With reward 1 and bonus 10, attempt 2 gets 0, 11, 1, -10 for (r1, r2) = (0,0), (0,1), (1,1), (1,0): paper, Eq. 4.
    """
    reward_T = correct_PKT.new_tensor(stage.reward)
    change_PKT = torch.diff(correct_PKT, dim=-1, prepend=correct_PKT[..., :1])
    return reward_T * correct_PKT + stage.alpha * (reward_T > 0) * change_PKT


def leave_one_out(rewards_PKT: torch.Tensor, loss_mask_PKT: torch.Tensor) -> torch.Tensor:
    """Advantages: each R_t less the mean of the other samples' of its problem and turn (RLOO, Ahmadian et al. 2024).

    loss_mask_PKT is 1 where an attempt was sampled from the policy. It is 0 where the attempt was given (an offline
    first attempt) or has no verdict: such attempts get no advantage, and stand in nobody's baseline. A sample with no
    other beside it gets no advantage either.
    """
    counted_PKT = rewards_PKT * loss_mask_PKT
    others_PKT = loss_mask_PKT.sum(1, keepdim=True) - loss_mask_PKT
    mean_PKT = (counted_PKT.sum(1, keepdim=True) - counted_PKT) / others_PKT.clamp(min=1)
    return (rewards_PKT - mean_PKT) * loss_mask_PKT * (others_PKT > 0)


def dialogue_loss(
    logp_N: torch.Tensor,
    kl_N: torch.Tensor,
    dialogue_N: torch.Tensor,
    turn_N: torch.Tensor,
    advantage_BT: torch.Tensor,
    kl_weight_BT: torch.Tensor,
    kl_baseline_T: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss above, summed over B dialogues, and their KL_BT.

    The N sampled tokens come with their log-probability, their exact KL, and the dialogue (0..B-1) and turn (0..T-1)
    that they belong to. To be divided by a constant, the number of dialogues of the step: a mean over tokens would pay
    the tokens of long replies less.
    """
    kl_BT = torch.zeros_like(kl_weight_BT).index_put((dialogue_N, turn_N), kl_N.detach(), accumulate=True)
    pay_BT = advantage_BT - kl_weight_BT * (kl_BT - kl_baseline_T)
    at = (dialogue_N, turn_N)
    return -(pay_BT[at] * logp_N - kl_weight_BT[at] * kl_N).sum(), kl_BT
