"""Every plot that a folder of results has to show, by name; drawn when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorebench.api.errors import UserError
from scorebench.api.progress import progress
from scorebench.report import plots
from scorebench.report.baseline import Group, by_group, heading
from scorebench.report.summary import RunSummary, pool_seeds
from scorebench.storage.runs import digest, read_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """A plot to be drawn. name: its file's, without a suffix. group: the task, data and model that it is of."""

    name: str
    group: Group
    draw: Callable[[], Figure]


def drawn(pictures: Sequence[Picture], faults: list[str]) -> Iterator[tuple[Picture, Figure]]:
    """Draws each picture. One that cannot be drawn is left out, and a sentence about it is added to `faults`."""
    with progress("draw plots", len(pictures)) as tell:
        for done, picture in enumerate(pictures, start=1):
            try:
                figure = picture.draw()
            except UserError as fault:
                faults.append(f"The plot {picture.name} is left out: {fault}")
            else:
                yield picture, figure
            tell(done)


def of_runs(summaries: Sequence[RunSummary]) -> list[Picture]:
    """Accuracy by attempt, flips and edit distances of each task, data and model; a line or panel a method."""
    pictures = []
    for group, runs in by_group(summaries).items():
        rows = pool_seeds(runs)
        kinds: dict[str, Callable[[Sequence[RunSummary]], Figure]] = {"accuracy": plots.accuracy_by_turn}
        if any(row.turns > 1 for row in rows):
            kinds["flips"] = plots.flips
        if any(row.edits.ratios.size for row in rows):
            kinds["edits"] = plots.edit_histograms
        word = plots.file_word(group)
        pictures += [Picture(f"{name}-{word}", group, partial(draw, rows)) for name, draw in kinds.items()]
    return pictures


@dataclass(frozen=True)
class Trainings:
    """The plots of trainings. complaints: a sentence for each training that cannot be read."""

    pictures: list[Picture]
    complaints: list[str]


def of_trainings(checkpoints: Path, first_seed_only: bool = False) -> Trainings:
    """The curves of each training that has logged a step, finished or not."""
    pictures: dict[str, Picture] = {}
    complaints = []
    for folder in sorted(path.parent for path in checkpoints.glob("*/training.json")):
        try:
            identity = read_json(folder / "training.json")["identity"]
            key = digest({**identity, "seed": None}) if first_seed_only else folder.name
            if key not in pictures and any(log.stat().st_size for log in folder.rglob("steps.jsonl")):
                pictures[key] = _training(folder, identity)
        except (UserError, KeyError, TypeError, ValueError) as fault:
            complaints.append(f"The training {folder.name} is left out: its training.json cannot be read ({fault}).")
    return Trainings(list(pictures.values()), complaints)


def _training(folder: Path, identity: Mapping[str, Any]) -> Picture:
    group = identity["task"]["name"], identity["data"], identity["model"]["name"]
    title = f"Training of {identity['method']['name']}, seed {identity['seed']}\n{heading(group)}"
    return Picture(f"training-{folder.name}", group, partial(_draw_training, folder, title))


def _draw_training(folder: Path, title: str) -> Figure:
    stages = plots.read_stages(folder)
    try:
        return plots.training_curves(stages, title)
    except (KeyError, TypeError, ValueError) as fault:
        raise UserError(f"The logs of {folder} have rows of another shape ({fault!r:.120}).") from fault
