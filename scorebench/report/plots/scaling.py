"""Accuracy of a majority vote against its cost: of samples alone, and of half as many with a correction of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from scorebench.report.plots.drawing import MOST_LINES, colours, name_lines, panels_of, plain
from scorebench.statistics.majority_vote import Scaling

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WAYS = {"parallel": "samples only", "sequential": "samples, each corrected"}
NOTE = "bands: 95 % intervals over problems; no smoothing. Full: sequential; dashed, hollow: parallel."


def scaling_curves(curves: Mapping[str, Scaling], title: str) -> Figure:
    """Majority-vote accuracy against attempts and against tokens a problem, with 95 % bands, parallel and sequential.

    Filled markers and full lines are sequential, hollow ones and dashes parallel; a colour a family of methods. Beyond
    MOST_LINES // 2 methods each has a row of panels of its own.
    """
    lots = [dict([one]) for one in curves.items()] if 2 * len(curves) > MOST_LINES else [dict(curves)]
    height = 4.2 if len(lots) == 1 else 1.4 + 1.35 * len(lots)
    counts = sorted({curve.problems for curve in curves.values()})
    n = " to ".join(f"{count:,}" for count in dict.fromkeys((counts[0], counts[-1])))
    figure, panels = panels_of(len(lots), 2, title, f"n = {n} problems; {NOTE}", height, share_x="col", share_y="all")
    looks = dict(zip(curves, colours(list(curves)), strict=True))
    for line, lot in enumerate(lots):
        _draw_lot(panels[2 * line], panels[2 * line + 1], lot, looks)
    _label(panels[-2], panels[-1], list(curves.values()))
    for line, lot in enumerate(lots):
        panels[2 * line].set_ylabel("majority vote right, %" if len(lots) == 1 else "right, %", fontsize=8)
        if len(lots) > 1:
            panels[2 * line].set_title(plain(next(iter(lot))), loc="left", fontsize=9, fontweight="bold")
        name_lines(panels[2 * line + 1], _ends(lot, looks, len(lots) == 1), fontsize=8)
    return figure


def _draw_lot(attempts: Axes, tokens: Axes, lot: Mapping[str, Scaling], looks: Mapping[str, str]) -> None:
    for method, curve in lot.items():
        for way in WAYS:
            points = [point for point in curve.points if point.way == way]
            value, low, high = 100 * np.array([point.accuracy for point in points]).T
            full = way == "sequential"
            look = {"color": looks[method], "linestyle": "-" if full else "--", "marker": "o", "markersize": 4.5}
            look["markerfacecolor"] = looks[method] if full else "white"
            for axes, x in ((attempts, "budget"), (tokens, "tokens")):
                spent = [getattr(point, x) for point in points]
                axes.plot(spent, value, label=f"{method}, {way}", linewidth=1.6, **look)
                axes.fill_between(spent, low, high, color=looks[method], alpha=0.12, linewidth=0)


def _label(attempts: Axes, tokens: Axes, curves: Sequence[Scaling]) -> None:
    budgets = sorted({point.budget for curve in curves for point in curve.points})
    attempts.set_xscale("log", base=2)
    attempts.set_xticks(budgets, [str(budget) for budget in budgets])
    attempts.set_xlabel("attempts a problem", fontsize=8.5)
    if all(point.tokens > 0 for curve in curves for point in curve.points):
        tokens.set_xscale("log", base=2)
        tokens.xaxis.set_major_formatter(lambda tick, _: f"{tick:,.0f}")
    tokens.set_xlabel("sampled tokens a problem", fontsize=8.5)


def _ends(lot: Mapping[str, Scaling], looks: Mapping[str, str], named: bool) -> list[tuple[float, float, str, str]]:
    """The last point of each line with its name. named: whether the method stands in the name."""
    ends = []
    for method, curve in lot.items():
        for way, words in WAYS.items():
            last = [point for point in curve.points if point.way == way][-1]
            name = f"{method}, {words}" if named else words
            ends.append((last.tokens, 100 * last.accuracy.value, name, looks[method]))
    return ends
