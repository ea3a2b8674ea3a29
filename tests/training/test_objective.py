"""The estimator's mean is the exact gradient: proved on a policy small enough to enumerate every pair of dialogues."""

from __future__ import annotations

import itertools

import pytest
import torch

from scorebench.training.objective import Stage, credits, dialogue_loss, leave_one_out, turn_rewards
from scorebench.training.update import clip

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
        advantage_BT, weight_BT = (
            some_PKT[0] for some_PKT in credits(correct_PKT, torch.ones_like(correct_PKT), stage)
        )
        if mistake == "joint scalar":
            rewards_PKT = turn_rewards(correct_PKT, stage).sum(-1, keepdim=True).expand_as(correct_PKT)
            advantage_BT = leave_one_out(rewards_PKT, torch.ones_like(rewards_PKT))[0]
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


def exact_offline(policy: Tabular, reference: Tabular, base: Tabular, stage: Stage) -> torch.Tensor:
    """J where attempt 2 follows first attempts of the base: turn 1 by itself, and turn 2 after what the base said."""
    total = torch.zeros((), dtype=torch.float64)
    for first in ATTEMPTS:
        own, held = reply_logp(policy, (), first).sum(), reply_logp(reference, (), first).sum().detach()
        right = torch.tensor([[[float(first in RIGHT), 0.0]]], dtype=torch.float64)
        total = total + own.exp() * (turn_rewards(right, stage)[0, 0, 0] - stage.kl[0] * (own - held))
        given = reply_logp(base, (), first).sum().exp().detach()
        for second in ATTEMPTS:
            logp, held = reply_logp(policy, first, second).sum(), reply_logp(reference, first, second).sum().detach()
            correct = torch.tensor([[[float(a in RIGHT) for a in (first, second)]]], dtype=torch.float64)
            reward = turn_rewards(correct, stage)[0, 0, 1]
            total = total + given * logp.exp() * (reward - stage.kl[1] * (logp - held))
    return total


def estimated_offline(policy: Tabular, reference: Tabular, base: Tabular, stage: Stage) -> torch.Tensor:
    """The expected loss of two dialogues with given first attempts and three of one attempt, as a step has them.

    The two kinds share no term, so the mean over one kind is taken while the other kind is fixed, and the fixed kind's
    own terms, which are the same in all of them, are taken off again.
    """
    pairs = list(itertools.product(ATTEMPTS, repeat=2))
    twos = [reply_logp(policy, first, second) for first, second in pairs]
    kls = [token_kl(policy, reference, first, second) for first, second in pairs]
    chance = [
        (reply_logp(base, (), f).sum() + logp.sum()).exp().detach() for (f, _), logp in zip(pairs, twos, strict=True)
    ]
    ones = [reply_logp(policy, (), first) for first in ATTEMPTS]
    one_kls = [token_kl(policy, reference, (), first) for first in ATTEMPTS]
    one_chance = [logp.sum().exp().detach() for logp in ones]

    def loss(two: tuple[int, ...], one: tuple[int, ...]) -> torch.Tensor:
        correct_PKT = torch.tensor(
            [[[float(a in RIGHT) for a in pairs[n]] for n in two] + [[float(ATTEMPTS[n] in RIGHT), 0.0] for n in one]],
            dtype=torch.float64,
        )
        mask_PKT = torch.tensor([[[0.0, 1.0]] * len(two) + [[1.0, 0.0]] * len(one)], dtype=torch.float64)
        advantage_BT, weight_BT = (some_PKT[0] for some_PKT in credits(correct_PKT, mask_PKT, stage))
        dialogue_N = torch.arange(len(two) + len(one)).repeat_interleave(LENGTH)
        turn_N = torch.tensor([1] * LENGTH * len(two) + [0] * LENGTH * len(one))
        logp_N = torch.cat([twos[n] for n in two] + [ones[n] for n in one])
        kl_N = torch.cat([kls[n] for n in two] + [one_kls[n] for n in one])
        summed, _ = dialogue_loss(logp_N, kl_N, dialogue_N, turn_N, advantage_BT, weight_BT, C)
        return summed / (len(two) + len(one))

    total = -loss((0, 0), (0, 0, 0))
    for two in itertools.product(range(len(pairs)), repeat=2):
        total = total + chance[two[0]] * chance[two[1]] * loss(two, (0, 0, 0))
    for one in itertools.product(range(len(ATTEMPTS)), repeat=3):
        total = total + one_chance[one[0]] * one_chance[one[1]] * one_chance[one[2]] * loss((0, 0), one)
    return total


@pytest.mark.parametrize("name", ["stage 1", "stage 2", "no shaping"])
def test_with_given_first_attempts_the_mean_is_the_gradient_of_their_objective(name: str) -> None:
    stage = STAGES[name]
    policy, reference, base = (Tabular(2, seed) for seed in (1, 2, 3))
    (wanted,) = torch.autograd.grad(exact_offline(policy, reference, base, stage), policy.table)
    (got,) = torch.autograd.grad(-estimated_offline(policy, reference, base, stage), policy.table)
    torch.testing.assert_close(got, wanted)
    assert wanted.abs().max() > 0.01


def test_a_step_without_clipping_is_the_gradient_and_a_clipped_one_has_its_direction() -> None:
    """Of Tabular's exact gradient, at a learning rate of 1, as update() takes it."""
    policy, reference = Tabular(2, seed=1), Tabular(2, seed=2)
    moves = {}
    for limit in (None, 1e9, 0.05):
        policy.zero_grad()
        (-exact(policy, reference, STAGES["stage 2"])).backward()
        optimizer, before = torch.optim.SGD(policy.parameters(), lr=1.0), policy.table.detach().clone()
        norm, clipped = clip(optimizer, limit)
        gradient = torch.autograd.grad(exact(policy, reference, STAGES["stage 2"]), policy.table)[0]
        optimizer.step()
        moves[limit] = (policy.table.detach() - before, gradient, norm, clipped)
        with torch.no_grad():
            policy.table.copy_(before)
    for limit in (None, 1e9):
        moved, gradient, norm, clipped = moves[limit]
        torch.testing.assert_close(moved, gradient)
        assert (norm, clipped) == (pytest.approx(gradient.norm().item()), False)
    moved, gradient, norm, clipped = moves[0.05]
    torch.testing.assert_close(moved, gradient * 0.05 / gradient.norm(), atol=1e-6, rtol=1e-4)
    assert (norm, clipped) == (pytest.approx(gradient.norm().item()), True)
