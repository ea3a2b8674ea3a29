"""From a method that trains to a checkpoint: once for each identity, taken up where it was left.

What is trained is defined by the task and its training problems, the base model's weights, the method's whole
configuration and the seed. Two runs that evaluate the same training share its checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scorebench.api import distributed
from scorebench.api.protocols import ModelSpec, Task, Trained
from scorebench.api.types import Problem
from scorebench.dialogue.player import graders, seed_of
from scorebench.engines.identity import weights_digest
from scorebench.engines.loading import load_model, load_tokenizer, resolved_device
from scorebench.storage.files import alone, replacing, write_json
from scorebench.storage.runs import environment, folder_name
from scorebench.training.tuning import Tuning


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
    root: Path,
    method: Trained,
    config: Any,
    task: Task,
    data: str,
    spec: ModelSpec,
    seed: int,
    tuning: Tuning = Tuning(),  # noqa: B008  (frozen)
) -> Training:
    """The training with this identity, under root."""
    identity = {
        "task": {"name": task.name, "version": task.version},
        "data": data,
        "method": {"name": method.name, "config": config.model_dump() | tuning.model_dump(exclude_defaults=True)},
        "model": {"name": spec.label, "digest": weights_digest(spec.path), "dtype": spec.dtype},
        "system_prompt": spec.system_prompt,
        "seed": seed,
        **({"rollouts": spec.engine} if spec.engine == "vllm" else {}),
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
    tuning: Tuning = Tuning(),  # noqa: B008  (frozen)
) -> None:
    """Does the training, from where it stands, and leaves the checkpoint as a folder that transformers opens.

    Under torchrun all processes do it together; the first one writes. Raises UserError where another command is at it.
    """
    from scorebench.engines.export import save_plain
    from scorebench.training.checkpoint import weights_faults
    from scorebench.training.context import LocalTrainingContext
    from scorebench.training.fsdp import shared_out, whole
    from scorebench.training.weights import prepare, trained_weights, with_weights

    at_work = alone(training.folder, "training in") if distributed.is_first() else nullcontext()
    with at_work, distributed.joined(resolved_device(spec)):
        if distributed.is_first():
            write_json(training.folder / "training.json", {"identity": training.identity, "about": environment()})
        policy, reference = prepare(load_model(spec), tuning, seed_of(seed, "adapter"))
        with graders() as pool:
            context = LocalTrainingContext(
                policy=policy,
                reference=reference,
                tokenizer=load_tokenizer(spec),
                task=task,
                problems=problems,
                seed=seed,
                folder=training.folder,
                graders=pool,
                slots=spec.batch_size or 256,
                system_prompt=spec.system_prompt,
                template_args=spec.template_args,
                context_length=spec.context_length,
                vllm=spec if spec.engine == "vllm" else None,
            )
            method.train(context, config)
        with shared_out(policy):
            weights = whole(trained_weights(policy))
        if distributed.is_first():
            base = load_model(replace(spec, device="cpu", dtype=str(policy.dtype).removeprefix("torch.")))
            with replacing(training.model) as part, weights_faults():
                save_plain(with_weights(base, tuning, weights), part)
                context.tokenizer.save_pretrained(part)
        distributed.together()
