"""The estimator's mean is the exact gradient: proved on a policy small enough to enumerate every pair of dialogues."""

from __future__ import annotations

import itertools

import pytest
import torch

from scorebench.training.objective import Stage, dialogue_loss, leave_one_out, turn_rewards

VOCABULARY, LENGTH = 2, 2  # attempts of two tokens: 4 of them, so 16 dialogues of two turns and 256 pairs
ATTEMPTS = list(itertools.product(range(VOCABULARY), repeat=LENGTH))
RIGHT = {(0, 1), (1, 1)}  # the attempts that pass
C = torch.tensor([0.3, 0.7], dtype=torch.float64)  # any number will do as KL baseline

STAGES = {
    "stage 1": Stage(reward=(0, 1), kl=(0.5, 0.01), steps=1, learning_rate=1),
    "stage 2": Stage(reward=(1, 1), kl=(0.1, 0.01), alpha=10, steps=1, learning_rate=1),
    "no shaping": Stage(reward=(1, 1), kl=(0.1, 0.1), steps=1, learning_rate=1),
    "single turn": Stage(reward=(1,), kl=(0.1,), steps=1, learning_rate=1),
    "stage 1(b) of three": Stage(reward=(0, 0, 1), kl=(0.5, 0.5, 0.01), steps=1, learning_rate=1),
    "stage 2 of three": Stage(reward=(1, 1, 1), kl=(0.1, 0.2, 0.3), alpha=3, steps=1, learning_rate=1),
}


class Tabular(torch.nn.Module):
    """A policy with logits of its own for every prefix of a dialogue."""

    def __init__(self, turns: int, seed: int) -> None:
        super().__init__()
        size = sum(VOCABULARY**n for n in range(turns * LENGTH))
        table = torch.randn(size, VOCABULARY, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        self.table = torch.nn.Parameter(table)

    def logp(self, prefix: tuple[int, ...]) -> torch.Tensor:
        index = sum(VOCABULARY**n for n in range(len(prefix))) + int("0" + "".join(map(str, prefix)), VOCABULARY)
        return self.table[index].log_softmax(-1)


def reply_logp(policy: Tabular, before: tuple[int, ...], reply: tuple[int, ...]) -> torch.Tensor:
    return torch.stack([policy.logp(before + reply[:s])[reply[s]] for s in range(LENGTH)])


def token_kl(policy: Tabular, reference: Tabular, before: tuple[int, ...], reply: tuple[int, ...]) -> torch.Tensor:
    prefixes = [before + reply[:s] for s in range(LENGTH)]
    return torch.stack([(policy.logp(p).exp() * (policy.logp(p) - reference.logp(p).detach())).sum() for p in prefixes])


def exact(policy: Tabular, reference: Tabular, stage: Stage) -> torch.Tensor:
    """J by enumeration, with credit by turn: where a turn begins is taken as given (detached)."""
    total = torch.zeros((), dtype=torch.float64)
    for dialogue in itertools.product(ATTEMPTS, repeat=stage.turns):
        correct = torch.tensor([[[float(a in RIGHT) for a in dialogue]]], dtype=torch.float64)
        rewards = turn_rewards(correct, stage)[0, 0]
        logps = [reply_logp(policy, sum(dialogue[:t], ()), dialogue[t]).sum() for t in range(stage.turns)]
        for t in range(stage.turns):
            reference_logp = reply_logp(reference, sum(dialogue[:t], ()), dialogue[t]).sum().detach()
            given = sum((logp.detach() for logp in logps[:t]), torch.zeros((), dtype=torch.float64))
            later = sum((logp.detach() for logp in logps[t + 1 :]), torch.zeros((), dtype=torch.float64))
            kl = logps[t] - reference_logp  # under the sum over replies this is the KL of Eq. 2
            total = total + (given + logps[t] + later).exp() * (rewards[t] - stage.kl[t] * kl)
    return total


def estimated(policy: Tabular, reference: Tabular, stage: Stage, mistake: str = "") -> torch.Tensor:
    """The expected loss of K = 2 dialogues of a problem, by enumeration of all pairs, through the code that trains."""
    dialogues = list(itertools.product(ATTEMPTS, repeat=stage.turns))
    parts = [[(sum(d[:t], ()), d[t]) for t in range(stage.turns)] for d in dialogues]
    logps = [torch.stack([reply_logp(policy, *p) for p in d]) for d in parts]  # each turns x tokens
    kls = [torch.stack([token_kl(policy, reference, *p) for p in d]) for d in parts]
    probability = [logp.sum().exp().detach() for logp in logps]
    turn_N = torch.arange(stage.turns).repeat_interleave(LENGTH).repeat(2)
    dialogue_N = torch.arange(2).repeat_interleave(stage.turns * LENGTH)
    total = torch.zeros((), dtype=torch.float64)
    for i, j in itertools.product(range(len(dialogues)), repeat=2):
        correct_PKT = torch.tensor([[[float(a in RIGHT) for a in dialogues[n]] for n in (i, j)]], dtype=torch.float64)
        rewards_PKT = turn_rewards(correct_PKT, stage)
        if mistake == "joint scalar":
            rewards_PKT = rewards_PKT.sum(-1, keepdim=True).expand_as(rewards_PKT)
        advantage_BT = leave_one_out(rewards_PKT, torch.ones_like(rewards_PKT))[0]
        weight_BT = torch.tensor(stage.kl, dtype=torch.float64).repeat(2, 1)
        logp_N = torch.cat([logps[i].flatten(), logps[j].flatten()])
        kl_N = torch.cat([kls[i].flatten(), kls[j].flatten()])
        if mistake == "KL of turn 1 in the reward of turn 2":
            first_B1 = torch.stack([kls[i][0].sum(), kls[j][0].sum()])[:, None].detach()
            advantage_BT = advantage_BT - weight_BT[:, :1] * first_B1 * torch.tensor([0.0, 1.0])
            weight_BT = weight_BT * torch.tensor([0.0, 1.0])
        if mistake == "KL not in the return":
            kl_N = kl_N - kl_N.detach()
        baseline_T = torch.cat([C, C])[: stage.turns]
        loss, _ = dialogue_loss(logp_N, kl_N, dialogue_N, turn_N, advantage_BT, weight_BT, baseline_T)
        total = total + probability[i] * probability[j] * loss / 2
    return total


def gradients(stage: Stage, mistake: str = "") -> tuple[torch.Tensor, torch.Tensor]:
    policy, reference = Tabular(stage.turns, seed=1), Tabular(stage.turns, seed=2)
    (wanted,) = torch.autograd.grad(exact(policy, reference, stage), policy.table)
    (got,) = torch.autograd.grad(-estimated(policy, reference, stage, mistake), policy.table)
    return wanted, got


@pytest.mark.parametrize("name", [n for n in STAGES if "three" not in n])
def test_the_mean_of_the_estimator_is_the_exact_gradient(name: str) -> None:
    wanted, got = gradients(STAGES[name])
    torch.testing.assert_close(got, wanted, atol=1e-6, rtol=0)
    assert wanted.abs().max() > 1e-2


@pytest.mark.parametrize("name", [n for n in STAGES if "three" in n])
def test_three_turns_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts of one token: 8 dialogues of three turns and 64 pairs."""
    monkeypatch.setattr(f"{__name__}.LENGTH", 1)
    monkeypatch.setattr(f"{__name__}.ATTEMPTS", [(0,), (1,)])
    monkeypatch.setattr(f"{__name__}.RIGHT", {(1,)})
    wanted, got = gradients(STAGES[name])
    torch.testing.assert_close(got, wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("mistake", ["joint scalar", "KL of turn 1 in the reward of turn 2", "KL not in the return"])
def test_a_planted_mistake_is_seen(mistake: str) -> None:
    wanted, got = gradients(STAGES["stage 2"], mistake)
    assert (got - wanted).abs().max() > 1e-3


def test_what_the_second_attempt_is_paid() -> None:
    """PAPER: with bonus 10, (0,0), (0,1), (1,1), (1,0) give 0, 11, 1, -10, and attempt 1 its own correctness only."""
    correct = torch.tensor([[[0.0, 0], [0, 1], [1, 1], [1, 0]]])
    rewards = turn_rewards(correct, STAGES["stage 2"])
    assert rewards[0, :, 1].tolist() == [0, 11, 1, -10]
    assert rewards[0, :, 0].tolist() == correct[0, :, 0].tolist()
    assert turn_rewards(correct, STAGES["stage 1"])[0].tolist() == [[0, 0], [0, 1], [0, 1], [0, 0]]


def test_given_attempts_and_errors_stand_in_no_baseline() -> None:
    rewards = torch.tensor([[[1.0], [0.0], [5.0], [1.0]]])
    counts = torch.tensor([[[1.0], [1.0], [0.0], [1.0]]])
    torch.testing.assert_close(leave_one_out(rewards, counts)[0, :, 0], torch.tensor([0.5, -1.0, 0.0, 0.5]))
