"""Plots: accuracy by turn, flips, edit distances, training curves, scaling curves.

Legible in print and to the colour-blind: Okabe and Ito's colours, and never colour alone. Each series has its own
marker or hatch besides, and lines of more than seven methods their own dashes. Every function returns a figure; `save`
writes it as PNG and SVG.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np

from scorebench.api.errors import UserError
from scorebench.report.baseline import Group, group_of, heading
from scorebench.report.render import percent
from scorebench.report.summary import RunSummary, labels
from scorebench.statistics import metrics
from scorebench.statistics.majority_vote import Scaling

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito 2008, without its yellow, which is too pale for lines on white paper.
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", ":")

Style = dict[str, Any]
Share = Literal["none", "all", "row", "col"]


def style(number: int) -> Style:
    """The look of series `number`: colour and marker, and other dashes after each seven."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number // len(COLOURS) % len(DASHES)],
    }


def accuracy_by_turn(rows: Sequence[RunSummary]) -> Figure:
    """Acc@t with its 95 % interval at each turn, a line a row."""
    figure, (axes,) = _figure(1, 1, _title("Accuracy by attempt", rows))
    for number, (row, label) in enumerate(zip(rows, labels(rows), strict=True)):
        turns = range(1, row.turns + 1)
        shift = 0.03 * (number - (len(rows) - 1) / 2)  # intervals beside each other, not on top
        value, low, high = 100 * np.array([metrics.accuracy(row.outcomes, turn) for turn in turns]).T
        reach = value - low, high - value
        axes.errorbar(np.array(turns) + shift, value, yerr=reach, capsize=3, label=label, **style(number))
    axes.set_xticks(range(1, max(row.turns for row in rows) + 1))
    axes.set_xlabel("attempt")
    axes.set_ylabel("right, % of all problems")
    _legend_beside(axes)
    return figure


def flips(rows: Sequence[RunSummary]) -> Figure:
    """i->c to the right and c->i to the left, with 95 % intervals; delta is what remains."""
    rows = [row for row in rows if row.turns > 1]
    title = _title("Flips from attempt 1 to attempt 2", rows)
    figure, (axes,) = _figure(1, 1, title, height=1.5 + 0.45 * len(rows))
    places = np.arange(len(rows))
    for sign, metric, colour, hatch, label in (
        (1, metrics.i_to_c, COLOURS[1], "", "incorrect -> correct"),
        (-1, metrics.c_to_i, COLOURS[2], "///", "correct -> incorrect"),
    ):
        value, low, high = 100 * np.array([metric(row.outcomes) for row in rows]).T
        reach = (value - low, high - value) if sign > 0 else (high - value, value - low)
        axes.barh(places, sign * value, color=colour, hatch=hatch, edgecolor="white", label=label, height=0.6)
        axes.errorbar(sign * value, places, xerr=reach, fmt="none", ecolor="#444444", capsize=3)
    axes.axvline(0, color="black", linewidth=0.8)
    deltas = (percent(metrics.delta(row.outcomes).value, signed=True) for row in rows)
    axes.set_yticks(places, [f"{label}  ({delta})" for label, delta in zip(labels(rows), deltas, strict=True)])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(lambda tick, _: f"{abs(tick):g}")
    axes.set_xlabel("% of all problems (in brackets: delta)")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    return figure


def edit_histograms(rows: Sequence[RunSummary]) -> Figure:
    """The edit distance ratio of attempt 2 to attempt 1, a panel a method; collapse is a pile at 0."""
    rows = [row for row in rows if row.edits.ratios.size]
    title = _title("How much attempt 2 differs from attempt 1", rows)
    columns = min(3, len(rows))
    lines = -(-len(rows) // columns)
    figure, panels = _figure(lines, columns, title, height=0.6 + 1.7 * lines)
    for axes, row, label in zip(panels, rows, labels(rows), strict=False):
        ratios = row.edits.ratios
        weights = np.full(ratios.size, 100 / ratios.size)
        axes.hist(ratios, bins=np.linspace(0, 1, 21).tolist(), weights=weights, color=COLOURS[1], edgecolor="white")
        axes.set_title(label, fontsize="medium")
        axes.text(
            0.97, 0.9, f"same text {100 * row.edits.same_text:.0f} %", transform=axes.transAxes, ha="right", va="top"
        )
        axes.set_xticks([0, 0.5, 1])
        axes.tick_params(labelbottom=True)
        axes.set_ylim(0, 100)
    for axes in panels[len(rows) :]:
        axes.remove()
    figure.supxlabel("edit distance / length of both")
    figure.supylabel("% of episodes")
    return figure


def read_stages(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The training log of each stage, or of each round of one: the lines of FOLDER/STAGE/steps.jsonl, or of its own.

    UserError where there is none.
    """
    logs = {log: log.read_text("utf-8").splitlines() for log in sorted(folder.rglob("steps.jsonl"))}
    if not any(logs.values()):
        raise UserError(f"No training log is in {folder}; name a checkpoint's folder that has STAGE/steps.jsonl.")
    stages = {log.parent.relative_to(folder).as_posix(): (log, lines) for log, lines in logs.items() if lines}
    return {stage.strip("."): [_step(log, line) for line in lines] for stage, (log, lines) in stages.items()}


def _step(log: Path, line: str) -> dict[str, Any]:
    try:
        return json.loads(line)
    except json.JSONDecodeError as fault:
        raise UserError(f"A line of {log} is no JSON ({fault}); remove it.") from fault


# What trainings log, each some of it: the key of a step's row, its label, and whether it is a share.
CURVES = (
    ("correct", "right, %", True),
    ("i_to_c", "flips, %", True),
    ("kl", "KL, nats", False),
    ("tokens", "tokens", False),
    ("loss", "loss", False),
)
REWARD = ("reward", "reward", False)  # all of them


def training_curves(stages: Mapping[str, Sequence[Mapping[str, Any]]], title: str) -> Figure:
    """Accuracy by turn, flips, KL by turn and length by turn, or the loss, over the steps; a column a stage.

    stages: the rows of each stage's log. Thin: each step; thick: the mean over the last twentieth of the stage's steps.
    """
    logged = [curve for curve in CURVES if any(curve[0] in steps[0] for steps in stages.values())] or [REWARD]
    height = 1.2 + 1.4 * len(logged)
    figure, panels = _figure(len(logged), len(stages), title, height=height, share_x="col", share_y="row")
    for line, (key, label, share) in enumerate(logged):
        row = panels[line * len(stages) :][: len(stages)]
        logging = [(axes, steps) for axes, steps in zip(row, stages.values(), strict=True) if key in steps[0]]
        for axes in row:
            axes.set_visible(False)
        for axes, steps in logging:
            axes.set_visible(True)
            for number, (name, values) in enumerate(_series(steps, key)):
                _curve(axes, [step["step"] for step in steps], values * (100 if share else 1), number, name)
        logging[0][0].set_ylabel(label)
        _legend_beside(logging[-1][0])
    for column, stage in enumerate(stages):
        visible = [axes for axes in panels[column :: len(stages)] if axes.get_visible()]
        visible[0].set_title(stage, fontsize="medium")
        visible[-1].set_xlabel("step")
        visible[-1].tick_params(labelbottom=True)
    return figure


def _series(steps: Sequence[Mapping[str, Any]], key: str) -> list[tuple[str, np.ndarray]]:
    if key == "i_to_c":
        return [(name, np.array([step[k] for step in steps])) for name, k in (("i->c", key), ("c->i", "c_to_i"))]
    if key in ("loss", "reward"):
        return [(key, np.array([step[key] for step in steps]))]
    values_ST = np.array([step[key] for step in steps]).reshape(len(steps), -1)
    return [(f"attempt {turn}", values) for turn, values in enumerate(values_ST.T, start=1)]


def _curve(axes: Axes, steps: Sequence[int], values: np.ndarray, number: int, name: str) -> None:
    look = style(number + 1)
    window = max(1, len(values) // 20)
    sums = np.cumsum(np.concatenate([[0.0], values]))
    starts = np.maximum(np.arange(1, len(values) + 1) - window, 0)
    means = (sums[1:] - sums[starts]) / (np.arange(1, len(values) + 1) - starts)
    axes.plot(steps, values, color=look["color"], linewidth=0.6, alpha=0.4)
    axes.plot(steps, means, label=name, markevery=max(1, len(values) // 6), markersize=5, **look)


def scaling_curves(curves: Mapping[str, Scaling], title: str) -> Figure:
    """Majority-vote accuracy against attempts and against tokens a problem, with 95 % bands, parallel and sequential.

    Filled markers and full lines are sequential, hollow ones and dashes parallel; a colour a method.
    """
    figure, panels = _figure(1, 2, title, share_x="none", share_y="row")
    for number, (method, curve) in enumerate(curves.items()):
        for way in ("parallel", "sequential"):
            points = [point for point in curve.points if point.way == way]
            value, low, high = 100 * np.array([point.accuracy for point in points]).T
            look = style(number)
            look |= {"linestyle": "-"} if way == "sequential" else {"linestyle": "--", "markerfacecolor": "white"}
            for axes, x in zip(panels, ("budget", "tokens"), strict=True):
                spent = [getattr(point, x) for point in points]
                axes.plot(spent, value, label=f"{method}, {way}", **look)
                axes.fill_between(spent, low, high, color=look["color"], alpha=0.12, linewidth=0)
    budgets = sorted({point.budget for curve in curves.values() for point in curve.points})
    panels[0].set_xscale("log", base=2)
    panels[0].set_xticks(budgets, [str(budget) for budget in budgets])
    panels[0].set_xlabel("attempts a problem")
    panels[0].set_ylabel("majority vote right, %")
    if all(point.tokens > 0 for curve in curves.values() for point in curve.points):
        panels[1].set_xscale("log", base=2)
        panels[1].xaxis.set_major_formatter(lambda tick, _: f"{tick:,.0f}")
    panels[1].set_xlabel("sampled tokens a problem")
    _legend_beside(panels[1])
    return figure


def file_word(group: Group) -> str:
    """A group as a part of a file's name."""
    return "-".join(re.sub(r"[^A-Za-z0-9._+]+", "-", word) for word in group if word)


def _title(what: str, rows: Sequence[RunSummary]) -> str:
    """What is shown, and of which task, data and model; UserError where that is nothing, or more than one."""
    if not rows:
        raise UserError(f"There is nothing to plot for {what!r}; choose runs of at least two attempts.")
    if len({group_of(row) for row in rows}) > 1:
        raise UserError("Runs of different tasks, data or models cannot share a plot; choose one of each.")
    return f"{what}\n{heading(group_of(rows[0]))}"


def _figure(
    lines: int,
    columns: int,
    title: str,
    height: float = 3.6,
    share_x: Share = "all",
    share_y: Share = "all",
) -> tuple[Figure, list[Axes]]:
    """A figure as wide as a page's text (7 inches) with a grid of panels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, height), layout="constrained")
    figure.suptitle(title, fontsize="medium")
    grid = figure.subplots(lines, columns, squeeze=False, sharex=share_x, sharey=share_y)
    panels = list(grid.flat)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", linewidth=0.4, alpha=0.6)
        axes.set_axisbelow(True)
    return figure, panels


def _legend_beside(axes: Axes) -> None:
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize="small")


def write_svg(figure: Figure, file: Path | IO[str]) -> None:
    """Write the figure as SVG whose texts are texts; the same figure gives the same bytes."""
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "scorebench"}):
        figure.savefig(file, format="svg", metadata={"Date": None})


def save(figure: Figure, path: Path) -> tuple[Path, Path]:
    """Write the figure beside `path` as .png and .svg, whatever its suffix; the same figure gives the same bytes."""
    png, svg = path.with_suffix(".png"), path.with_suffix(".svg")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(png, dpi=200)
        write_svg(figure, svg)
    except OSError as fault:
        raise UserError(f"Cannot write the plot {path}: {fault.strerror}; name another file.") from fault
    return png, svg
