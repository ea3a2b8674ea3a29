"""Curves of a training, read from the logs that it writes while it runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scorebench.api.errors import UserError
from scorebench.report.plots.drawing import GAINED, GREY, LOST, TURNS, name_lines, panels_of, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Stages = Mapping[str, Sequence[Mapping[str, Any]]]

# What trainings log, each some of it: the key of a step's row, its label, and whether it is a share.
CURVES = (
    ("correct", "right, %", True),
    ("i_to_c", "flips, %", True),
    ("kl", "KL, nats", False),
    ("tokens", "tokens", False),
    ("loss", "loss", False),
)
REWARD = ("reward", "reward", False)  # all of them
SMOOTHING = 10  # a thick line is the mean of the last tenth of the stage's steps


def read_stages(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The log of each stage, or of each round of one: the lines of FOLDER/STAGE/steps.jsonl, or of FOLDER's own.

    UserError where there is none, or where a line of it is damaged. A last line without its end was cut off when the
    training was stopped; it is left out.
    """
    logs = {log: log.read_text("utf-8", errors="replace").split("\n")[:-1] for log in folder.rglob("steps.jsonl")}
    if not any(logs.values()):
        raise UserError(f"No training log is in {folder}; name a checkpoint's folder that has STAGE/steps.jsonl.")
    stages = {log.parent.relative_to(folder).as_posix(): (log, lines) for log, lines in sorted(logs.items()) if lines}
    return {stage.strip("."): [_step(log, line) for line in lines] for stage, (log, lines) in stages.items()}


def _step(log: Path, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as fault:
        raise UserError(f"A line of {log} is no JSON ({fault}); remove it.") from fault
    if not isinstance(row, dict) or not isinstance(row.get("step"), int):
        raise UserError(f"A line of {log} has no number as its 'step'; remove it.")
    return row


def training_curves(stages: Stages, title: str) -> Figure:
    """Accuracy by attempt, flips, KL by attempt and length by attempt, or the loss, over the steps; a column a stage.

    stages: the rows of each stage's log. Thin: each step; thick: the mean over the last twentieth of the stage's steps.
    """
    logged = [curve for curve in CURVES if any(curve[0] in steps[0] for steps in stages.values())] or [REWARD]
    windows = dict.fromkeys(_window(len(steps)) for steps in stages.values())
    told = " and ".join(f"the last {window} steps" if window > 1 else "one step" for window in windows)
    note = f"Thin: each step, of its own batch. Thick: mean of {told}. No intervals."
    height = 1.3 + 1.25 * len(logged)
    figure, panels = panels_of(len(logged), len(stages), title, note, height, share_x="col", share_y="row")
    for line, (key, label, share) in enumerate(logged):
        row = panels[line * len(stages) :][: len(stages)]
        _draw_row(row, list(stages.values()), key, label, 100 if share else 1)
    for column, stage in enumerate(stages):
        visible = [axes for axes in panels[column :: len(stages)] if axes.get_visible()]
        visible[0].set_title(plain(stage), fontsize=9, loc="left")
        visible[-1].set_xlabel("step", fontsize=8.5)
        visible[-1].tick_params(labelbottom=True)
    return figure


def _draw_row(
    row: Sequence[Axes], stages: Sequence[Sequence[Mapping[str, Any]]], key: str, label: str, by: int
) -> None:
    """One quantity in every stage that logs it; its lines are named in the last of them."""
    logging = [(axes, steps) for axes, steps in zip(row, stages, strict=True) if key in steps[0]]
    for axes in row:
        axes.set_visible(any(axes is one for one, _ in logging))
    ends = []
    for axes, steps in logging:
        numbers = [step["step"] for step in steps]
        curves = _series(steps, key)
        means = [(name, _curve(axes, numbers, values * by, colour), colour) for name, values, colour in curves]
        ends = [(numbers[-1], mean, name, colour) for name, mean, colour in means]
    logging[0][0].set_ylabel(label, fontsize=8.5)
    name_lines(logging[-1][0], ends, fontsize=8)


def _series(steps: Sequence[Mapping[str, Any]], key: str) -> list[tuple[str, np.ndarray, str]]:
    """The curves of one quantity: name, values by step, colour."""
    if key == "i_to_c":
        flips = (("i→c", key, GAINED), ("c→i", "c_to_i", LOST))
        return [(name, np.array([step[k] for step in steps]), colour) for name, k, colour in flips]
    if key in ("loss", "reward"):
        return [(key, np.array([step[key] for step in steps]), GREY)]
    values_ST = np.array([step[key] for step in steps]).reshape(len(steps), -1)
    return [(f"attempt {t + 1}", values, TURNS[t % len(TURNS)]) for t, values in enumerate(values_ST.T)]


def _window(steps: int) -> int:
    return max(1, steps // SMOOTHING)


def _curve(axes: Axes, steps: Sequence[int], values: np.ndarray, colour: str) -> float:
    """Draws a curve and its running mean, and returns the last mean."""
    window = _window(len(values))
    sums = np.cumsum(np.concatenate([[0.0], values]))
    starts = np.maximum(np.arange(1, len(values) + 1) - window, 0)
    means = (sums[1:] - sums[starts]) / (np.arange(1, len(values) + 1) - starts)
    axes.plot(steps, values, color=colour, linewidth=0.5, alpha=0.35)
    axes.plot(steps, means, color=colour, linewidth=1.6)
    return float(means[-1])
