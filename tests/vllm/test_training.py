"""Rollouts by vLLM: every step is played with the weights that the step before has left."""

from __future__ import annotations

import asyncio
import copy
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from scorebench.api.errors import UserError
from scorebench.api.protocols import Source
from scorebench.engines.loading import load_model, load_tokenizer
from scorebench.methods.score import ScoreConfig, score
from scorebench.tasks.math import task
from scorebench.training.context import LocalTrainingContext
from scorebench.training.objective import Stage
from tests.vllm.conftest import spec

STAGE = Stage(reward=(1, 1), kl=(0.01, 0.01), alpha=10, steps=6, learning_rate=3e-4)
CONFIG = ScoreConfig(stages={"stage2": STAGE}, problems=8, samples=4, max_tokens=96)


@pytest.fixture
def context(math_engine: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A training whose rollouts the session's engine plays; afterwards that has its own weights again."""
    monkeypatch.setattr("scorebench.engines.vllm.open_for_training", lambda spec: math_engine)
    policy = load_model(spec())
    reference = copy.deepcopy(policy).requires_grad_(False)
    yield LocalTrainingContext(
        policy=policy,
        reference=reference,
        tokenizer=load_tokenizer(spec()),
        task=task,
        problems=task.load("train", Source("embedded")).problems[:64],
        seed=0,
        folder=tmp_path,
        graders=ThreadPoolExecutor(2),
        slots=64,
        vllm=spec(),
    )
    asyncio.run(math_engine.push(reference))


def steps(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "stage2" / "steps.jsonl").read_text().splitlines()]


def test_pushed_weights_are_in_force_in_the_next_rollout(
    context: LocalTrainingContext, capsys: pytest.CaptureFixture[str]
) -> None:
    score.train(context, CONFIG)
    gaps = [row["worst_logprob_gap"] for row in steps(context.folder)]
    pairs = zip(context.policy.parameters(), context.reference.parameters(), strict=True)
    moved = max((a - b).abs().max().item() for a, b in pairs)
    with capsys.disabled():
        print(f"\nlargest gap over {len(gaps)} steps {max(gaps):.1e} nats; weights moved by up to {moved:.1e}")
    assert len(gaps) == STAGE.steps
    assert max(gaps) < 1e-4
    assert moved > 1e-3


def test_weights_that_are_not_pushed_stop_the_training(
    context: LocalTrainingContext, math_engine: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def lost(policy: Any) -> None:
        """A push that goes nowhere."""

    monkeypatch.setattr(math_engine, "push", lost)
    with pytest.raises(UserError, match="disagree") as stopped:
        score.train(context, CONFIG)
    with capsys.disabled():
        print(f"\n{stopped.value}")
    assert len(steps(context.folder)) == 1  # the first step's weights were vLLM's own
    monkeypatch.undo()


def test_an_adapter_is_in_force_too(context: LocalTrainingContext, math_engine: Any) -> None:
    from peft import LoraConfig

    from tests.vllm.test_engine import WARM, dialogues, worst_gap

    context.policy.add_adapter(LoraConfig(r=4, target_modules="all-linear"), "policy")
    with torch.no_grad():
        for name, parameter in context.policy.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05)
    asyncio.run(math_engine.push(context.policy))
    played = dialogues(math_engine, WARM, 16)
    assert worst_gap(played, context.policy, 1.0) < 1e-4
    assert worst_gap(played, context.reference, 1.0) > 0.1
