"""What all plots share: colours, panels, names beside lines, notes, files.

A plot is read without a legend: every line is named at its end in its own colour, the baseline is grey, and the methods
of a family share a colour. Beyond MOST_LINES methods each has a panel of its own, with the baseline in it. Colours are
Okabe and Ito's (2008), which the colour-blind can tell apart, the pale ones darkened so that names can be read in them;
no two series differ in colour alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from scorebench.api.errors import UserError
from scorebench.report.baseline import Group, group_of, heading
from scorebench.report.summary import RunSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BASELINE = "base"
GREY = "#8A8D93"
QUIET = "#62666E"  # notes, ticks
FAMILIES = {"base": GREY, "score": "#0072B2", "star": "#B97F00", "pair": "#D55E00", "self": "#00835F", "rl": "#B4588C"}
SPARE = ("#2B8FC9", "#332288")  # families that are not in the list, in order of appearance
GAINED, LOST = "#0072B2", "#D55E00"
TURNS = ("#2B8FC9", "#0B4F7D", "#332288")  # attempt 1, 2, 3 of one training
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", ":", "-.")
MOST_LINES = 6  # in one panel
LONGEST_NAME = 60
LONGEST_TITLE = 110
Share = Literal["none", "all", "row", "col"]


def colours(methods: Sequence[str]) -> list[str]:
    """The colour of each method: grey for the baseline, one for each family. The family is a name's first word."""
    families = [re.split(r"[-+ _]", method, maxsplit=1)[0] for method in methods]
    others = [family for family in dict.fromkeys(families) if family not in FAMILIES]
    known = FAMILIES | {family: SPARE[number % len(SPARE)] for number, family in enumerate(others)}
    return [known[family] for family in families]


def plain(text: str, longest: int = LONGEST_NAME) -> str:
    """A name of somebody else's as matplotlib draws it letter by letter: no mathtext, nothing that cannot be drawn."""
    kept = "".join(letter if unicodedata.category(letter)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for letter in text)
    short = kept if len(kept) <= longest else f"{kept[: longest - 1]}…"
    return short.replace("$", r"\$")


def file_word(group: Group) -> str:
    """A group as a part of a file's name."""
    return "-".join(re.sub(r"[^A-Za-z0-9._+]+", "-", word)[:80] for word in group if word)


def heading_of(what: str, rows: Sequence[RunSummary]) -> str:
    """What is shown, and of which task, data and model; UserError where that is nothing, or more than one."""
    if not rows:
        raise UserError(f"There is nothing to plot for {what!r}; choose runs of at least two attempts.")
    if len({group_of(row) for row in rows}) > 1:
        raise UserError("Runs of different tasks, data or models cannot share a plot; choose one of each.")
    return f"{what}\n{heading(group_of(rows[0]))}"


def interval_note(rows: Sequence[RunSummary]) -> str:
    """How many problems a plot is over, and what its intervals are; a note for beneath it."""
    counts = sorted({row.n for row in rows})
    n = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    seeds = max(len(row.seeds) for row in rows)
    return f"n = {n} problems{f', up to {seeds} seeds pooled' if seeds else ''}; 95 % intervals; no smoothing."


def panels_of(
    lines: int, columns: int, title: str, note: str, height: float, share_x: Share = "all", share_y: Share = "all"
) -> tuple[Figure, list[Axes]]:
    """A figure as wide as a page's text (7 inches) with a grid of panels. note: stands beneath them.

    The first line of the title is what is shown, the others say of what.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, height), layout="constrained")
    layout = figure.get_layout_engine()
    assert layout is not None
    what, *of = title.split("\n")
    top = 1 - 0.2 / height
    figure.text(0.012, top, plain(what), fontsize=11, fontweight="bold", va="center")
    figure.text(0.012, top - 0.21 / height, plain("  ".join(of), LONGEST_TITLE), fontsize=8.5, color=QUIET, va="center")
    figure.text(0.012, 0.13 / height, note, fontsize=7.5, color=QUIET, va="center")
    layout.set(rect=(0, 0.26 / height, 1, 1 - 0.78 / height))  # type: ignore[call-arg]
    grid = figure.subplots(lines, columns, squeeze=False, sharex=share_x, sharey=share_y)
    panels = list(grid.flat)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color("#C9CACD")
        axes.grid(axis="y", linewidth=0.5, color="#E4E4E0")
        axes.tick_params(labelsize=8, color="#C9CACD", labelcolor=QUIET)
        axes.set_axisbelow(True)
    return figure, panels


def name_lines(axes: Axes, ends: Sequence[tuple[float, float, str, str]], fontsize: float = 8.5) -> None:
    """Names beside the ends of lines: (x, y, name, colour) each, moved apart so that none covers another.

    Call it when the axis has its final limits, as the distance between names is told in units of the y axis.
    """
    if not ends:
        return
    figure = axes.get_figure()
    assert figure is not None
    low, high = axes.get_ylim()
    rows = axes.get_subplotspec().get_gridspec().nrows  # type: ignore[union-attr]
    inches = max(0.5, (figure.get_figheight() - 1.2) / rows - 0.35)  # type: ignore[union-attr]
    gap = fontsize * 1.35 / 72 / inches
    heights = apart([(y - low) / (high - low) for _, y, _, _ in ends], gap)
    for (x, y, name, colour), place in zip(ends, heights, strict=True):
        axes.annotate(
            plain(name),
            (x, y),
            xytext=(1.04, place),
            textcoords="axes fraction",
            color=colour,
            fontsize=fontsize,
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "alpha": 0.45,
                "linewidth": 0.7,
                "shrinkA": 1,
                "shrinkB": 4,
            },
        )


def apart(wanted: Sequence[float], gap: float) -> list[float]:
    """Places in the order of the wanted ones and close to them, with at least `gap` between neighbours."""
    clusters: list[tuple[list[int], float]] = []
    for index in sorted(range(len(wanted)), key=wanted.__getitem__):
        members, centre = [index], wanted[index]
        while clusters and centre - clusters[-1][1] < gap * (len(members) + len(clusters[-1][0])) / 2:
            members = [*clusters.pop()[0], *members]
            centre = sum(wanted[i] for i in members) / len(members)
        clusters.append((members, centre))
    places = [0.0] * len(wanted)
    for members, centre in clusters:
        for rank, index in enumerate(members):
            places[index] = centre + gap * (rank - (len(members) - 1) / 2)
    return places


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
