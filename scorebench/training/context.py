"""What a training method is given: models, problems, a place to work in."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scorebench.api.protocols import ModelSpec, PolicyEngine, Task
from scorebench.api.types import Problem
from scorebench.dialogue.player import seed_of
from scorebench.engines.hf import HFEngine


@dataclass(frozen=True)
class LocalTrainingContext:
    """One training: the policy, which is changed in place, and all that it is trained with.

    reference: the base model, frozen; it stands behind every KL, in every stage.
    folder: where the method keeps its state and its logs; whatever lies there, train() goes on from it.
    slots: dialogues decoded at once.
    vllm: the model as vLLM opens it, where vLLM plays the rollouts; else they are played here.
    """

    policy: Any
    reference: Any
    tokenizer: Any
    task: Task
    problems: Sequence[Problem]
    seed: int
    folder: Path
    graders: Executor
    slots: int
    system_prompt: str | None = None
    template_args: Mapping[str, Any] = field(default_factory=dict)
    context_length: int | None = None
    vllm: ModelSpec | None = None

    def engine(self) -> PolicyEngine:
        """What plays the policy's dialogues. It has the policy's weights after push(), and not before."""
        if self.vllm:
            from scorebench.engines.vllm import open_for_training

            return open_for_training(self.vllm)
        return self.hf_engine(self.policy)

    def hf_engine(self, model: Any) -> HFEngine:
        """What plays a model's dialogues in this process, with the weights that it has."""
        return HFEngine(model, self.tokenizer, self.slots, self.system_prompt, self.template_args, self.context_length)

    def batches(self, size: int, stage: str, start: int) -> Iterator[list[Problem]]:
        """Batches of problems from step `start` on: every problem once in an epoch, in an order made of the seed."""
        per_epoch = max(1, len(self.problems) // size)
        step = start
        while True:
            epoch, at = divmod(step, per_epoch)
            order = list(range(len(self.problems)))
            random.Random(seed_of(self.seed, stage, "epoch", epoch)).shuffle(order)
            for begin in range(at * size, per_epoch * size, size):
                yield [self.problems[i] for i in order[begin : begin + size]]
                step += 1
