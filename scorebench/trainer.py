"""From a method that trains to a checkpoint: once for each identity, taken up where it was left.

What is trained is defined by the task and its training problems, the base model's weights, the method's whole
configuration and the seed. Two runs that evaluate the same training share its checkpoint.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scorebench.contracts import Task, Trained
from scorebench.engines.loading import ModelSpec, load_model, load_tokenizer, weights_digest
from scorebench.files import alone, replacing, write_json
from scorebench.runner import graders
from scorebench.store import environment, folder_name
from scorebench.types import Problem


@dataclass(frozen=True)
class Training:
    """A training that may or may not have been done. folder/model is the checkpoint, there only when it is complete."""

    folder: Path
    identity: Mapping[str, Any]

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def complete(self) -> bool:
        return self.model.is_dir()


def training_of(
    root: Path, method: Trained, config: Any, task: Task, data: str, spec: ModelSpec, seed: int
) -> Training:
    """The training with this identity, under root."""
    identity = {
        "task": {"name": task.name, "version": task.version},
        "data": data,
        "method": {"name": method.name, "config": config.model_dump()},
        "model": {"name": spec.label, "digest": weights_digest(spec.path), "dtype": spec.dtype},
        "system_prompt": spec.system_prompt,
        "seed": seed,
    }
    words = (task.name, data, method.name, spec.label, f"s{seed}")
    return Training(root / folder_name(*words, identity=identity), identity)


def train(
    training: Training,
    method: Trained,
    config: Any,
    task: Task,
    problems: Sequence[Problem],
    spec: ModelSpec,
    seed: int,
) -> None:
    """Does the training, from where it stands, and leaves the checkpoint as a folder that transformers opens.

    Raises UserError where another process is at it.
    """
    with alone(training.folder, "training in"):
        if not training.complete:  # another process may have ended it a moment ago
            _train(training, method, config, task, problems, spec, seed)


def _train(
    training: Training,
    method: Trained,
    config: Any,
    task: Task,
    problems: Sequence[Problem],
    spec: ModelSpec,
    seed: int,
) -> None:
    from scorebench.training.checkpoint import weights_faults
    from scorebench.training.lesson import Lesson

    write_json(training.folder / "training.json", {"identity": training.identity, "about": environment()})
    policy = load_model(spec)
    reference = copy.deepcopy(policy).requires_grad_(False)
    tokenizer = load_tokenizer(spec)
    with graders() as pool:
        lesson = Lesson(
            policy=policy,
            reference=reference,
            tokenizer=tokenizer,
            task=task,
            problems=problems,
            seed=seed,
            folder=training.folder,
            graders=pool,
            slots=spec.batch_size or 256,
            system_prompt=spec.system_prompt,
        )
        method.train(lesson, config)
    with replacing(training.model) as part, weights_faults():
        policy.save_pretrained(part)
        tokenizer.save_pretrained(part)
