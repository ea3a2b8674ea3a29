"""From a method that trains to a checkpoint: each training is done once, and goes on where it was left.

What is trained is defined by the task and its training problems, the base model's weights, the method's whole
configuration and the seed. Two runs that evaluate the same training share its checkpoint.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scorebench.api import distributed
from scorebench.api.protocols import ModelSpec, Task, Trained
from scorebench.api.types import Problem
from scorebench.dialogue.identity import method_identity, reading_of, task_identity
from scorebench.dialogue.player import graders, seed_of
from scorebench.engines.identity import model_identity
from scorebench.engines.loading import load_model, load_tokenizer, resolved_device
from scorebench.storage.files import alone, replacing, write_json
from scorebench.storage.runs import environment, folder_name
from scorebench.training.tuning import Tuning

RECORD = "training.json"  # says what a training is, and what it took when it is complete


@dataclass(frozen=True)
class Training:
    """A training, done or not. folder/model is the checkpoint; it is there only when the training is complete."""

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
    problems: Sequence[Problem] = (),
) -> Training:
    """The training with this identity, under root. problems: those that the method's prompts are probed on."""
    identity = {
        "task": task_identity(task),
        "reading": reading_of(task),
        "data": data,
        "method": {
            **method_identity(method, task, problems),
            "config": config.model_dump() | tuning.identity(),
        },
        "model": model_identity(spec),
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
    validation: Sequence[Problem] = (),
    report_to: Sequence[str] = (),
) -> None:
    """Does the training, from where it stands, and leaves the checkpoint as a folder that transformers opens.

    validation: problems to evaluate on while it runs, where `tuning` asks for that. report_to: names of trackers.
    Under torchrun all processes do it together; the first one writes. Raises UserError where another command is at it.
    """
    from scorebench.engines.export import save_plain
    from scorebench.training.checkpoint import weights_faults
    from scorebench.training.context import LocalTrainingContext
    from scorebench.training.fsdp import shared_out, whole
    from scorebench.training.monitor import Watch, validation_problems
    from scorebench.training.reporters import Reporter
    from scorebench.training.weights import prepare, trained_weights, with_weights

    at_work = alone(training.folder, "training in") if distributed.is_first() else nullcontext()
    with at_work, distributed.joined(resolved_device(spec)):
        if distributed.is_first():
            write_json(training.folder / RECORD, {"identity": training.identity, "about": environment()})
        reporter = Reporter(report_to, training.folder)
        policy, reference = prepare(load_model(spec), tuning, seed_of(seed, "adapter"))
        with graders() as pool, closing(reporter):
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
                watch=Watch(tuning, validation_problems(validation, tuning.evaluate_problems), reporter),
            )
            method.train(context, config)
        with shared_out(policy):
            weights = whole(trained_weights(policy))
        if distributed.is_first():
            record = {"identity": training.identity, "about": environment(), "spent": spent(training.folder)}
            write_json(training.folder / RECORD, record)
            base = load_model(replace(spec, device="cpu", dtype=str(policy.dtype).removeprefix("torch.")))
            with replacing(training.model) as part, weights_faults():
                save_plain(with_weights(base, tuning, weights), part)
                context.tokenizer.save_pretrained(part)
        distributed.together()


def spent(folder: Path) -> dict[str, float]:
    """What the training in a folder took, from its logs.

    gradient_steps; examples: dialogues or examples in all gradient steps; replies, sampled_tokens: sampled to train on;
    watching_replies: sampled for the base's rollout and for validation, which train nothing. seconds: of the gradient
    steps with their rollouts, without what was sampled before them or for watching.
    """
    from scorebench.training.checkpoint import EVALUATIONS, STEPS
    from scorebench.training.monitor import BASE
    from scorebench.training.trajectories import SPENT

    seconds = 0.0
    count: Counter[str] = Counter(gradient_steps=0, examples=0, replies=0, sampled_tokens=0, watching_replies=0)
    for row in _rows(folder, STEPS):
        count["gradient_steps"] += 1
        seconds += row.get("seconds", 0.0)
        for name in ("examples", "replies", "sampled_tokens"):
            count[name] += row.get(name, 0)
    for row in _rows(folder, SPENT):
        count["replies"] += row["replies"]
        count["sampled_tokens"] += row["sampled_tokens"]
    for row in (*_rows(folder, BASE), *_rows(folder, EVALUATIONS)):
        count["watching_replies"] += row["replies"]
    return {**count, "seconds": round(seconds, 1)}


def _rows(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """The rows of all files of a name under a folder: lines of JSON, or one JSON value in a file."""
    for path in sorted(folder.rglob(name)):
        text = path.read_text(encoding="utf-8")
        yield from (json.loads(part) for part in ([text] if path.suffix == ".json" else text.splitlines()))
