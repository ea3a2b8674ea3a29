"""What a training method is given: models, problems, a folder to work in."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from scorebench.api.progress import say
from scorebench.api.protocols import ModelSpec, PolicyEngine, Task
from scorebench.api.types import Problem
from scorebench.dialogue.player import seed_of
from scorebench.engines.hf.engine import HFEngine
from scorebench.training.monitor import Watch


@dataclass(frozen=True)
class LocalTrainingContext:
    """One training: the policy, which is changed in place, and all that it is trained with.

    reference: the base model, frozen; the KL of every stage is measured against it.
    folder: where the method keeps its state and its logs; train() goes on from what lies there.
    slots: dialogues decoded at once.
    vllm: the model as vLLM opens it, where vLLM plays the rollouts; None where they are played in this process.
    watch: how the training is evaluated and reported while it runs.
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
    watch: Watch = field(default_factory=Watch)

    def engine(self) -> PolicyEngine:
        """What plays the policy's dialogues. It has the policy's weights after push(), and not before it."""
        if self.vllm:
            from scorebench.engines.vllm import open_for_training

            return open_for_training(self.vllm)
        return self.hf_engine(self.policy)

    def hf_engine(self, model: Any) -> HFEngine:
        """What plays a model's dialogues in this process, with the model's weights."""
        return HFEngine(model, self.tokenizer, self.slots, self.system_prompt, self.template_args, self.context_length)

    def batches(self, size: int, stage: str, start: int) -> Iterator[list[Problem]]:
        """Batches of problems from step `start` on, in an order made of the seed.

        Every problem comes once before any comes again. A batch always has `size` problems: where an epoch ends within
        it, it goes on with the next one, so where there are fewer problems than `size` some stand in it twice.
        """
        count = len(self.problems)
        if count < size:
            _say_once(f"There are {count} problems for batches of {size}, so a batch has some of them more than once.")
        for step in itertools.count(start):
            positions = range(step * size, (step + 1) * size)
            yield [self.problems[self._order(stage, position // count)[position % count]] for position in positions]

    def _order(self, stage: str, epoch: int) -> Sequence[int]:
        """The order of an epoch's problems."""
        return shuffled(len(self.problems), seed_of(self.seed, stage, "epoch", epoch))


_say_once = lru_cache(maxsize=None)(say)


@lru_cache(maxsize=2)
def shuffled(count: int, seed: int) -> Sequence[int]:
    """The numbers from 0 to count - 1, in an order made of the seed."""
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return order
