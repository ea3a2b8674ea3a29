"""What test_processes.py does in one process and in two: `torchrun ... -m tests.training.on_two FOLDER WHAT ...`.

Where a scenario has something to show, the first process leaves it in FOLDER/WHAT-N.pt, N being how many there are.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from scorebench.api import distributed
from scorebench.methods.score import score, three_turns
from scorebench.methods.star import star
from scorebench.training import checkpoint
from scorebench.training.context import LocalTrainingContext
from scorebench.training.fsdp import shared_out, whole
from scorebench.training.monitor import Watch, validation_problems
from scorebench.training.optimizer import adam, parameters
from scorebench.training.rollout import Rollout
from scorebench.training.sft import SFTConfig
from scorebench.training.tuning import Lora, Tuning
from scorebench.training.update import update
from scorebench.training.weights import prepare, trained_weights
from tests import tiny
from tests.toy import Toy
from tests.training.test_score import CONFIG, STAGE2, TINY, context, rollout, short

MODELS: dict[str, tuple[Any, Tuning]] = {
    "full": (tiny.model, Tuning(gradient_checkpointing=True)),
    "tied": (tiny.tied, Tuning()),
    "adapter": (tiny.tied, Tuning(lora=Lora(rank=4))),
    "bfloat16": (lambda: tiny.model(sharpness=2.0).to(torch.bfloat16), Tuning()),
    "adapter in bfloat16": (lambda: tiny.tied().to(torch.bfloat16), Tuning(lora=Lora(rank=4))),
}


def taught(folder: Path, kind: str = "full") -> LocalTrainingContext:
    make, tuning = MODELS[kind]
    policy, reference = prepare(make(), tuning, seed=0)
    return dataclasses.replace(context(folder), policy=policy, reference=reference)


def gradients(folder: Path) -> dict[str, Any]:
    """Loss, statistics and gradient of one batch, with micro-batches of which one process has more than the other."""
    shown = {}
    played = rollout(tiny.model(), problems=5)
    with patch("scorebench.training.update._check_drift"):  # one rollout for all of them
        for kind in MODELS:
            shown[kind] = _gradient(kind, played)
    return shown


def _gradient(kind: str, played: Rollout) -> dict[str, Any]:
    make, tuning = MODELS[kind]
    policy, reference = prepare(make(), tuning, seed=0)
    if tuning.lora.rank:  # an adapter begins as nothing, and nothing would hide a fault
        with torch.no_grad(), shared_out(policy):
            for parameter in policy.parameters():
                parameter.add_(0.02 * parameter.requires_grad)
    optimizer = adam(policy, 1e-9)
    stats = update(policy, reference, optimizer, played, STAGE2, [0.3, 0.1], 1.0, 100)
    return {
        "stats": dataclasses.asdict(stats),
        "gradient": whole([parameter.grad for parameter in parameters(optimizer)]),
        "parts": _parts(policy),
        "processes": torch.distributed.get_world_size() if distributed.count() > 1 else 1,
    }


def _parts(policy: Any) -> list[tuple[str, int, int]]:
    """Of every weight: its type, its placement, how many numbers of it are here, and how many there are."""
    with shared_out(policy):
        return [
            (type(p).__name__, p.to_local().numel() if distributed.count() > 1 else p.numel(), p.numel())
            for p in policy.parameters()
        ]


IMITATION = SFTConfig(rounds=2, dialogues=64, samples=4, steps=4, batch=7, learning_rate=1e-3, max_tokens=6)
# In which the base model plays, a copy of the policy is what it is held to, and dialogues are written down.
TRAININGS: dict[str, tuple[str, Any, Any]] = {
    f"{name}, {kind}": (kind, method, config)
    for kind in ("full", "adapter")
    for name, method, config in (
        ("offline", score, short(CONFIG, 2).model_copy(update={"offline": 0.5})),
        ("three turns", three_turns, short(three_turns.build(TINY), 2)),
        ("star", star, IMITATION),
    )
}


def trainings(folder: Path) -> dict[str, Any]:
    """What is logged of whole trainings, and the weights that come out."""
    shown = {}
    for name, (kind, method, config) in TRAININGS.items():
        pupil = taught(folder / f"{name}, {distributed.count()}", kind)
        method.train(pupil, config)
        with shared_out(pupil.policy):
            weights = whole(trained_weights(pupil.policy))
        shown[name] = {"weights": weights, "logs": logs(pupil.folder) if distributed.is_first() else []}
    return shown


def watching(folder: Path) -> dict[str, Any]:
    """The weights of a training that ends with its best evaluation, and what the evaluations said."""
    tuning = Tuning(evaluate_every=2, evaluate_problems=5, select_by="validation", rollouts_every=1)
    validation = Toy().load("validation", None).problems  # type: ignore[arg-type]
    pupil = taught(folder / f"watched, {distributed.count()}")
    pupil = dataclasses.replace(pupil, watch=Watch(tuning, validation_problems(validation, 5)))
    score.train(pupil, short(CONFIG, 4))
    with shared_out(pupil.policy):
        weights = whole(trained_weights(pupil.policy))
    logged = sorted(pupil.folder.glob("*/evaluations.jsonl")) if distributed.is_first() else []
    rows = [json.loads(line) for file in logged for line in file.read_text().splitlines()]
    names = ("step", "correct", "unchanged", "length", "kl", "entropy", "replies")
    return {"weights": weights, "evaluations": [{name: row[name] for name in names} for row in rows]}


def logs(folder: Path) -> list[list[float]]:
    """The rewards of every stage or round, to three digits: all that sampling decides."""
    files = sorted(folder.glob("*/steps.jsonl"))
    return [[round(json.loads(line)["reward"], 3) for line in file.read_text().splitlines()] for file in files]


CHECKPOINTS = ("full", "adapter", "bfloat16")


def make(folder: Path) -> None:
    """Leaves a checkpoint of a stage in FOLDER/KIND; its 12 steps are more than a window, so it has best weights."""
    played = rollout(tiny.model())
    for kind in CHECKPOINTS:
        state, pupil = _stage(folder, kind)
        for step in range(12):
            with patch("scorebench.training.update._check_drift"):  # one rollout for all of them
                update(pupil.policy, pupil.reference, state.optimizer, played, STAGE2, [0.0, 0.0], 1.0, 10_000)
            state.advance(step / 2, [0.5, 0.25], {})
        state.save()


def resave(folder: Path) -> None:
    """Takes up what lies in FOLDER/KIND, and saves it again."""
    for kind in CHECKPOINTS:
        state, _ = _stage(folder, kind)
        state.resume()
        state.save()


def _stage(folder: Path, kind: str) -> tuple[checkpoint.StageState, LocalTrainingContext]:
    pupil = taught(folder, kind)
    return checkpoint.StageState(folder / kind, pupil.policy, adam(pupil.policy, 1e-2), kl_T=[]), pupil


def dying(folder: Path) -> None:
    """Trains until the second step of Stage II, and dies then, saved a step before."""
    advance = checkpoint.StageState.advance

    def advance_and_die(self: Any, *args: Any) -> None:
        advance(self, *args)
        if self.folder.name == "stage2":
            if self.step == 2:
                distributed.together()
                os._exit(9)
            self.save()

    checkpoint.StageState.advance = advance_and_die  # type: ignore[method-assign]
    score.train(taught(folder), short(CONFIG, 4))


def main(folder: Path, *scenarios: str) -> None:
    with distributed.joined("cpu"):
        for what in scenarios:
            shown = globals()[what](folder)
            if shown and distributed.is_first():
                torch.save(shown, folder / f"{what}-{distributed.count()}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
