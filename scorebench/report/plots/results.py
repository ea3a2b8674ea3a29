"""Plots of evaluated methods: accuracy by attempt, flips, edit distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from scorebench.api.percent import percent
from scorebench.report.plots.drawing import (
    BASELINE,
    DASHES,
    GAINED,
    GREY,
    LOST,
    MARKERS,
    MOST_LINES,
    QUIET,
    colours,
    heading_of,
    interval_note,
    name_lines,
    panels_of,
    plain,
)
from scorebench.report.summary import RunSummary, labels
from scorebench.statistics import metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def accuracy_by_turn(rows: Sequence[RunSummary]) -> Figure:
    """Acc@t with its 95 % interval at each attempt: lines in one panel or, of many methods, a panel each."""
    title = heading_of("Accuracy by attempt", rows)
    return _accuracy_panels(rows, title) if len(rows) > MOST_LINES else _accuracy_lines(rows, title)


def _accuracy_lines(rows: Sequence[RunSummary], title: str) -> Figure:
    figure, (axes,) = panels_of(1, 1, title, interval_note(rows), height=4.0)
    looks = colours([row.identity.method for row in rows])
    ends = []
    for number, (row, label, colour) in enumerate(zip(rows, labels(rows), looks, strict=True)):
        shift = 0.02 * (number - (len(rows) - 1) / 2)  # intervals stand beside each other
        same = looks[:number].count(colour)  # members of a family differ in dashes and marker
        _accuracy_line(axes, row, colour, shift, DASHES[same % len(DASHES)], MARKERS[same % len(MARKERS)])
        values = _accuracies(row)[0]
        ends.append((row.turns + shift, values[-1], f"{label}   {_from_to(values)}", colour))
    turns = max(row.turns for row in rows)
    axes.set_xlim(0.85, turns + 0.1)
    axes.set_ylabel("right, % of all problems", fontsize=8.5)
    axes.set_xticks(range(1, turns + 1), [f"attempt {turn}" for turn in range(1, turns + 1)])
    name_lines(axes, ends)
    return figure


def _accuracy_panels(rows: Sequence[RunSummary], title: str) -> Figure:
    """A panel for each method that is not the baseline; the baseline, grey, and all other methods, pale, behind it."""
    named = list(zip(rows, labels(rows), colours([row.identity.method for row in rows]), strict=True))
    base = [row for row in rows if row.identity.method == BASELINE]
    shown = [entry for entry in named if entry[0] not in base] or named
    columns = 4
    lines = -(-len(shown) // columns)
    grey = "".join(f"Grey: base, {_from_to(_accuracies(row)[0])}; " for row in base[:1])
    note = f"{interval_note(rows)} {grey}pale: the other methods."
    figure, panels = panels_of(lines, columns, title, note, height=1.3 + 1.55 * lines)
    turns = max(row.turns for row in rows)
    for axes, (row, label, colour) in zip(panels, shown, strict=False):
        for other in rows:
            axes.plot(range(1, other.turns + 1), _accuracies(other)[0], color="#E9E9E6", linewidth=1, zorder=1)
        for other in base:
            _accuracy_line(axes, other, GREY, -0.03, "-", "o")
        _accuracy_line(axes, row, colour, 0.03, "-", "o")
        _panel_title(axes, label, _from_to(_accuracies(row)[0]), colour)
        axes.set_xlim(0.75, turns + 0.25)
        axes.set_xticks(range(1, turns + 1), [f"t{turn}" for turn in range(1, turns + 1)])
        axes.tick_params(labelbottom=True)
    for axes in panels[::columns][:lines]:
        axes.set_ylabel("right, %", fontsize=8)
    _remove(panels[len(shown) :])
    return figure


def _accuracy_line(axes: Axes, row: RunSummary, colour: str, shift: float, dashes: str, marker: str) -> None:
    value, low, high = _accuracies(row)
    turns = np.arange(1, row.turns + 1) + shift
    look = {"color": colour, "linestyle": dashes, "marker": marker, "markersize": 5, "linewidth": 1.8}
    axes.errorbar(
        turns, value, yerr=(value - low, high - value), elinewidth=1.1, label=row.identity.method, zorder=3, **look
    )


def _accuracies(row: RunSummary) -> np.ndarray:
    """Value, low and high of Acc@t, three rows, in percent; a column an attempt."""
    return 100 * np.array([metrics.accuracy(row.outcomes, turn) for turn in range(1, row.turns + 1)]).T


def _from_to(values: np.ndarray) -> str:
    ends = [values[0], values[-1]] if len(values) > 1 else [values[0]]
    return " → ".join(percent(value / 100) for value in ends)


def _panel_title(axes: Axes, label: str, figures: str, colour: str) -> None:
    axes.set_title(plain(label), loc="left", fontsize=8.5, fontweight="bold", color=colour, pad=13)
    axes.text(0, 1.03, figures, transform=axes.transAxes, fontsize=8, color=QUIET, va="bottom")


def _remove(panels: Sequence[Axes]) -> None:
    for axes in panels:
        axes.remove()


def flips(rows: Sequence[RunSummary]) -> Figure:
    """i->c to the right and c->i to the left, with 95 % intervals; Δ, what remains, stands at the right edge."""
    rows = [row for row in rows if row.turns > 1]
    title = heading_of("Flips from attempt 1 to attempt 2", rows)
    figure, (axes,) = panels_of(1, 1, title, interval_note(rows), height=1.75 + 0.36 * len(rows))
    places = np.arange(len(rows))
    reach = 0.0
    for sign, metric, colour in ((1, metrics.i_to_c, GAINED), (-1, metrics.c_to_i, LOST)):
        value, low, high = 100 * np.array([metric(row.outcomes) for row in rows]).T
        whiskers = (value - low, high - value) if sign > 0 else (high - value, value - low)
        axes.barh(places, sign * value, color=colour, hatch="" if sign > 0 else "////", edgecolor="white", height=0.62)
        axes.errorbar(sign * value, places, xerr=whiskers, fmt="none", ecolor="#3B3D42", elinewidth=1)
        for place, share, end in zip(places, value, high, strict=True):
            side = "left" if sign > 0 else "right"
            spot = (sign * end, place)
            axes.annotate(
                percent(share / 100), spot, (4 * sign, 0), textcoords="offset points", ha=side, va="center", fontsize=8
            )
        reach = max(reach, high.max())
    axes.axvline(0, color="#3B3D42", linewidth=0.8)
    axes.set_xlim(-1.22 * reach, 1.22 * reach)
    axes.set_yticks(places, [plain(label) for label in labels(rows)])
    axes.tick_params(axis="y", labelsize=8.5, labelcolor="black", length=0)
    for place, row in enumerate(rows):
        gain = percent(metrics.delta(row.outcomes).value, signed=True)
        axes.text(1.02, place, gain, transform=axes.get_yaxis_transform(), fontsize=8.5, fontweight="bold", va="center")
    axes.text(1.02, 1.02, "Δ", transform=axes.transAxes, fontsize=8.5, fontweight="bold", va="bottom")
    for x, words, colour in ((0.25, "◀ right, then wrong (c→i)", LOST), (0.75, "wrong, then right (i→c) ▶", GAINED)):
        axes.text(x, 1.02, words, transform=axes.transAxes, color=colour, fontsize=8.5, ha="center", va="bottom")
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_formatter(lambda tick, _: f"{abs(tick):g}")
    axes.set_xlabel("% of all problems", fontsize=8.5)
    return figure


def edit_histograms(rows: Sequence[RunSummary]) -> Figure:
    """The edit distance ratio of attempt 2 to attempt 1, a panel a method; collapse is a pile at 0."""
    rows = [row for row in rows if row.edits.ratios.size]
    title = heading_of("How much attempt 2 differs from attempt 1", rows)
    columns = min(3 if len(rows) <= MOST_LINES else 4, len(rows))
    lines = -(-len(rows) // columns)
    episodes = sorted({row.edits.ratios.size for row in rows})
    note = f"n = {' to '.join(f'{n:,}' for n in dict.fromkeys((episodes[0], episodes[-1])))} episodes; bins of 0.05."
    note += " Across: edit distance / length of both attempts, 0 where they are the same."
    figure, panels = panels_of(lines, columns, title, note, height=1.35 + 1.55 * lines)
    looks = colours([row.identity.method for row in rows])
    for axes, row, label, colour in zip(panels, rows, labels(rows), looks, strict=False):
        ratios = row.edits.ratios
        weights = np.full(ratios.size, 100 / ratios.size)
        axes.hist(ratios, bins=np.linspace(0, 1, 21).tolist(), weights=weights, color=colour, edgecolor="white")
        _panel_title(axes, label, f"same text {100 * row.edits.same_text:.0f} %", colour)
        axes.set_xticks([0, 0.5, 1])
        axes.tick_params(labelbottom=True)
        axes.set_ylim(0, 100)
    for axes in panels[::columns][:lines]:
        axes.set_ylabel("% of episodes", fontsize=8)
    _remove(panels[len(rows) :])
    return figure
