"""Trackers that show a training while it runs: TensorBoard, trackio, wandb (`--report-to`).

They only look on. What is trained does not depend on them, and one that fails is dropped with one line.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from scorebench.api import distributed
from scorebench.api.errors import UserError
from scorebench.api.progress import say

PROJECT = "scorebench"


class Tracker(Protocol):
    """Takes numbers by name, and is closed at the end."""

    def log(self, stage: str, step: int, numbers: Mapping[str, float]) -> None:
        """Takes the numbers of one step of a stage."""
        ...

    def close(self) -> None:
        """Writes what is left."""
        ...


class TensorBoard:
    """Event files in the training's folder: `tensorboard --logdir FOLDER/tensorboard`."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder / "tensorboard"))

    def log(self, stage: str, step: int, numbers: Mapping[str, float]) -> None:
        """A curve for each number."""
        for name, value in numbers.items():
            self.writer.add_scalar(f"{stage}/{name}", value, step)

    def close(self) -> None:
        """Writes what is left."""
        self.writer.close()


class RunTracker:
    """Trackio, or wandb, whose interface it has. The run has the name of the training's folder.

    Both count steps themselves, and every stage begins at 1, so the step of a stage is one more number. What they print
    goes to standard error, because standard output is for tables.
    """

    def __init__(self, module: Any, folder: Path, **options: Any) -> None:
        with redirect_stdout(sys.stderr):
            self.module, self.run = module, module.init(project=PROJECT, name=folder.name, resume="allow", **options)

    def log(self, stage: str, step: int, numbers: Mapping[str, float]) -> None:
        """All numbers of a step as one entry."""
        self.run.log({f"{stage}/{name}": value for name, value in {"step": step, **numbers}.items()})

    def close(self) -> None:
        """Writes what is left."""
        with redirect_stdout(sys.stderr):
            self.module.finish()  # that of the run alone would be followed by another one at exit


def _trackio(folder: Path) -> Tracker:
    import trackio  # pyright: ignore[reportMissingImports]

    return RunTracker(trackio, folder, embed=False, auto_log_cpu=False, auto_log_gpu=False)


def _wandb(folder: Path) -> Tracker:
    import wandb  # pyright: ignore[reportMissingImports]

    return RunTracker(wandb, folder, id=folder.name, dir=str(folder))


TRACKERS = {"tensorboard": TensorBoard, "trackio": _trackio, "wandb": _wandb}


class Reporter:
    """Gives the rows of a training's logs to trackers. Of several processes the first one does.

    Raises UserError for a tracker that is not installed or does not start.
    """

    def __init__(self, names: Sequence[str], folder: Path) -> None:
        self.trackers: dict[str, Tracker] = {}
        for name in names if distributed.is_first() else ():
            if find_spec(name) is None:
                raise UserError(f"--report-to {name}: it is not installed; pip install 'scorebench[{name}]'.")
            try:
                self.trackers[name] = TRACKERS[name](folder)
            except Exception as fault:  # each of them raises kinds of its own
                raise UserError(f"--report-to {name} does not start ({_reason(fault)}); leave it out.") from fault

    def __call__(self, stage: str, step: int, row: Mapping[str, Any]) -> None:
        """Reports the numbers of a row."""
        numbers = flat(row)
        self._each(lambda tracker: tracker.log(stage or "training", step, numbers))

    def close(self) -> None:
        """Lets every tracker write what is left."""
        self._each(lambda tracker: tracker.close())

    def _each(self, do: Any) -> None:
        for name, tracker in list(self.trackers.items()):
            try:
                do(tracker)
            except Exception as fault:  # whatever a tracker does must not end a training
                del self.trackers[name]
                say(f"--report-to {name} failed ({_reason(fault)}); the training goes on without it.")


def flat(row: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a row; of a list by turn, NAME_t1, NAME_t2 and so on."""
    numbers: dict[str, float] = {}
    for name, value in row.items():
        if isinstance(value, list):
            numbers |= {f"{name}_t{turn}": float(one) for turn, one in enumerate(value, start=1)}
        elif isinstance(value, bool | int | float):
            numbers[name] = float(value)
    return numbers


def _reason(fault: Exception) -> str:
    return f"{type(fault).__name__}: {' '.join(str(fault).split())[:150]}"
