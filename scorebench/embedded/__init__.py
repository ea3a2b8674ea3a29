"""The small worlds: generated problems, and for each world a model of half a million parameters, half right on them.

With them anybody can run all experiments of the paper on a laptop. They show how the methods work; they are no evidence
about language models. SMALL-WORLD.md beside this file says what was designed into them.
"""

from __future__ import annotations

import functools
from pathlib import Path

from scorebench.api.errors import UserError
from scorebench.api.protocols import Loaded, Split
from scorebench.api.types import Problem
from scorebench.embedded import equations, programs

# A world is a module with problems(task, split), for one task or several.
WORLDS = {"math": equations, "code": programs}
TASKS = {"math": "math", "mbpp": "code", "humaneval": "code", "mbpp-r": "code"}


@functools.cache
def problems(task: str, split: Split) -> tuple[Problem, ...]:
    """The problems of a task's split. They are distinct and always the same; no equation is in two splits of a world.

    Raises UserError for a task or a split that no world has problems for.
    """
    if task not in TASKS:
        raise UserError(
            f"The embedded world has nothing for {task!r}, only for {', '.join(sorted(TASKS))}: "
            "name real problems with --data and a model with --model."
        )
    found = WORLDS[TASKS[task]].problems(task, split)
    if not found:
        raise UserError(f"The embedded world has no {split} problems for {task}; take the test split.")
    return found


def load_embedded(task: str, split: Split) -> Loaded:
    """The embedded problems of a task with the label "embedded"; UserError if it has none."""
    return Loaded(problems(task, split), "embedded")


def model_path(world: str) -> Path:
    """The folder of the world's checkpoint, as from_pretrained takes it; making.json says how it was made.

    Raises UserError for an unknown world, or where the package was installed without the checkpoint.
    """
    if not world:
        raise UserError("The embedded models do not play this task: name a model with --model.")
    if world not in WORLDS:
        raise UserError(
            f"There is no embedded model for {world!r}, only for {', '.join(sorted(WORLDS))}: name one with --model."
        )
    folder = Path(__file__).parent / "checkpoints" / world
    if not (folder / "model.safetensors").is_file():
        raise UserError(
            f"The embedded model is missing at {folder}; make it with "
            f"`python -m scorebench.pretraining.pretrain --world {world} --out {folder}`."
        )
    return folder
