"""SCoRe trains on what was sampled, and a killed training ends with the weights of an undisturbed one."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from scorebench.api.types import Sampling
from scorebench.dialogue.player import Player
from scorebench.engines.hf.engine import HFEngine
from scorebench.methods.base import Base
from scorebench.methods.score import ScoreConfig, from_preset, score
from scorebench.training import checkpoint
from scorebench.training.context import LocalTrainingContext
from scorebench.training.logprobs import token_stats
from scorebench.training.objective import Stage
from scorebench.training.presets import Preset
from scorebench.training.rollout import Rollout, as_given, as_sequences, collect
from scorebench.training.update import micro_batches, update
from tests import tiny
from tests.toy import Toy

STAGE1 = Stage(reward=(0, 1), kl=(0.1, 0.01), steps=12, learning_rate=1e-2)
STAGE2 = Stage(reward=(1, 1), kl=(0.01, 0.01), alpha=10, steps=12, learning_rate=1e-2)
TINY = Preset(steps=24, problems=4, samples=4, learning_rate=1e-2, stage1_kl=(0.1, 0.01), max_tokens=6)
CONFIG = from_preset(TINY)


def short(config: ScoreConfig, steps: int) -> ScoreConfig:
    """The configuration with so many steps in each stage."""
    stages = {name: stage.model_copy(update={"steps": steps}) for name, stage in config.stages.items()}
    return config.model_copy(update={"stages": stages})


def context(folder: Path, seed: int = 0) -> LocalTrainingContext:
    policy = tiny.model()
    return LocalTrainingContext(
        policy=policy,
        reference=copy.deepcopy(policy).requires_grad_(False),
        tokenizer=tiny.tokenizer(),
        task=Toy(),
        problems=Toy().load("train", None).problems,  # type: ignore[arg-type]
        seed=seed,
        folder=folder,
        graders=ThreadPoolExecutor(2),
        slots=16,
    )


def rollout(model: Any, turns: int = 2, max_tokens: int = 8, problems: int = 4) -> Rollout:
    engine = HFEngine(model, tiny.tokenizer(), slots=16)
    sampling = Sampling(temperature=1.0, max_tokens=max_tokens)
    player = Player(Base(), Toy(), engine, sampling, turns, 0, ThreadPoolExecutor(2))
    return asyncio.run(collect(player, Toy().load("train", None).problems[:problems], samples=4))  # type: ignore[arg-type]


def steps(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "steps.jsonl").read_text().splitlines()]


def test_training_raises_the_reward_and_trains_on_what_was_sampled(tmp_path: Path) -> None:
    whole = context(tmp_path)
    before = rollout(whole.policy, problems=32).correct_PKT.mean((0, 1))
    score.train(whole, CONFIG)
    after = rollout(whole.policy, problems=32).correct_PKT.mean((0, 1))
    assert (after > before + 0.1).all()  # 128 dialogues: a standard error of about 0.04
    rows = steps(tmp_path / "stage1") + steps(tmp_path / "stage2")
    assert len(rows) == 24
    assert max(row["worst_logprob_gap"] for row in rows) < 1e-4


@pytest.mark.parametrize("fatal", [3, 17])
def test_killed_and_started_again_it_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fatal: int
) -> None:
    monkeypatch.setattr(checkpoint, "_SHORTEST", 0.0)
    monkeypatch.setattr(checkpoint, "_REST", 3)  # saves at some steps, not at all
    undisturbed, killed, again = (context(tmp_path / name) for name in ("whole", "cut", "cut"))
    score.train(undisturbed, CONFIG)
    advance, count = checkpoint.StageState.advance, 0

    def dying(self: Any, *args: Any) -> None:
        nonlocal count
        advance(self, *args)
        count += 1
        if count == fatal:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.StageState, "advance", dying)
    with pytest.raises(KeyboardInterrupt):
        score.train(killed, CONFIG)
    monkeypatch.setattr(checkpoint.StageState, "advance", advance)
    score.train(again, CONFIG)
    for name, tensor in undisturbed.policy.state_dict().items():
        assert torch.equal(tensor, again.policy.state_dict()[name]), name
    for stage in ("stage1", "stage2"):
        rewards = [[row["reward"] for row in steps(tmp_path / run / stage)] for run in ("whole", "cut")]
        assert rewards[0] == rewards[1]


def test_micro_batches_change_nothing() -> None:
    played = rollout(tiny.model())
    gradients = []
    for budget in (1, 100, 10_000):
        policy, reference = tiny.model(), tiny.model(seed=1)
        optimizer = torch.optim.SGD(policy.parameters(), lr=0.0)
        update(policy, reference, optimizer, played, STAGE2, [0.3, 0.1], 1.0, budget)
        gradients.append(torch.cat([p.grad.flatten() for p in policy.parameters()]))
    torch.testing.assert_close(gradients[0], gradients[2], atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(gradients[1], gradients[2], atol=1e-6, rtol=1e-4)
    assert sorted(i for rows in micro_batches(played.episodes, 100) for i in rows) == list(range(16))


def test_token_statistics_are_those_of_the_whole_logits() -> None:
    policy, reference = tiny.model("gemma2"), tiny.model("gemma2", seed=1)
    sequences = as_sequences(rollout(policy).episodes, policy.device)
    marked = sequences.turn_BL > 0
    stats = token_stats(policy, reference, sequences.ids_BL, marked, temperature=0.7)
    p = torch.distributions.Categorical(logits=policy(sequences.ids_BL).logits[:, :-1] / 0.7)
    q = torch.distributions.Categorical(logits=reference(sequences.ids_BL).logits[:, :-1] / 0.7)
    at = marked[:, 1:]
    torch.testing.assert_close(stats.logp_N, p.log_prob(sequences.ids_BL[:, 1:])[at], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(stats.entropy_N, p.entropy()[at], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(stats.kl_N, torch.distributions.kl_divergence(p, q)[at], atol=1e-4, rtol=1e-4)


def test_the_marked_tokens_are_the_sampled_ones() -> None:
    played = rollout(tiny.model(), turns=3)
    sequences = as_sequences(played.episodes, torch.device("cpu"))
    for row, episode in enumerate(played.episodes):
        for turn, attempt in enumerate(episode.attempts, start=1):
            marked = sequences.ids_BL[row][sequences.turn_BL[row] == turn]
            assert marked.tolist() == list(attempt.reply.token_ids)


def test_offline_first_attempts_move_nothing(tmp_path: Path) -> None:
    """Where all first attempts are given, paying attempt 1 and holding it to the reference has no effect."""
    policy, reference = tiny.model(), tiny.model(seed=1)
    engine = HFEngine(policy, tiny.tokenizer(), slots=16)
    sampling = Sampling(temperature=1.0, max_tokens=8)
    player = Player(Base(), Toy(), engine, sampling, 1, 0, ThreadPoolExecutor(2))
    problems = Toy().load("train", None).problems[:4]  # type: ignore[arg-type]
    own = [as_given(e.attempts[0]) for e in asyncio.run(collect(player, problems, 4)).episodes]
    player = dataclasses.replace(player, turns=2)
    played = asyncio.run(collect(player, problems, 4, own))
    assert [e.attempts[0].reply.text for e in played.episodes] == [reply.text for reply in own if reply]
    gradients = []
    for stage in (STAGE2, STAGE2.model_copy(update={"reward": (0, 1), "kl": (0.0, 0.01)})):
        policy.zero_grad()
        update(policy, reference, torch.optim.SGD(policy.parameters(), lr=0.0), played, stage, [0.3, 0.1], 1.0, 10_000)
        gradients.append(torch.cat([p.grad.flatten() for p in policy.parameters()]))
    assert torch.equal(*gradients)
    assert gradients[0].abs().max() > 0


def test_a_share_of_offline_first_attempts_trains(tmp_path: Path) -> None:
    short = {"only": STAGE2.model_copy(update={"steps": 3})}
    score.train(context(tmp_path), CONFIG.model_copy(update={"offline": 0.5, "stages": short}))
    assert len(steps(tmp_path / "only")) == 3
