"""Tables for people: the five metrics, the comparison with a baseline, how attempts change, flips by tag."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from scorebench.report.baseline import against, check_baseline, group_of, heading
from scorebench.report.render import Cell, Table, percent
from scorebench.report.summary import RunSummary, labels, pool_seeds
from scorebench.statistics import metrics
from scorebench.statistics.intervals import UNKNOWN, Estimate
from scorebench.statistics.metrics import Outcomes

LEGEND = (
    "Percent of all n problems; beneath, the 95 % interval, and for several seeds pooled their standard deviation.",
    "cut: attempts that reached the token limit. err: episodes left out because an attempt could not be graded.",
)
TAG_COLUMNS = 60  # what 80 columns leave for the values of a tag, beside the methods

Row = tuple[Cell, ...]


def people_tables(
    summaries: Sequence[RunSummary],
    baseline: str | None = None,
    expand_seeds: bool = False,
    tags: Sequence[str] = ("level", "subject"),
) -> list[Table]:
    """Everything that `compare` shows, for each task, data and model in turn.

    baseline: the method or run that the others are compared with, on the same problems. expand_seeds: a row a seed
    in place of one pooled row. tags: what flips are broken down by, where the problems have such tags.

    Raises UserError where no run is of the baseline.
    """
    if baseline is not None:
        check_baseline(summaries, baseline)
    tables = []
    for group in dict.fromkeys(map(group_of, summaries)):
        runs = [summary for summary in summaries if group_of(summary) == group]
        rows = runs if expand_seeds else pool_seeds(runs)
        names = _names(rows)
        tables.append(_main_table(group, rows, names))
        tables += _later_turns(group, rows, names)
        if baseline is not None:
            tables += _against_table(group, rows, names, runs, baseline)
        tables += _edits_table(group, rows, names)
        for tag in tags:
            tables += _tag_tables(group, rows, names, tag)
    return tables


def _names(rows: Sequence[RunSummary]) -> list[Cell]:
    """The first cell of each row: the method, the data (so that embedded stands in every row), the seed or seeds."""
    return [
        (_mark(row, label), ", ".join(filter(None, (row.identity.data, _seed(row)))))
        for row, label in zip(rows, labels(rows), strict=True)
    ]


def _mark(row: RunSummary, label: str) -> str:
    return f"{label} *" if row.errors or row.missing else label


def _seed(row: RunSummary) -> str:
    if row.seeds:
        return f"{len(row.seeds)} seeds"
    return "" if row.identity.seed is None else f"seed {row.identity.seed}"


def _title(what: str, group: tuple[str, str, str]) -> str:
    return f"{heading(group)}: {what}"


def _main_table(group: tuple[str, str, str], rows: Sequence[RunSummary], names: Sequence[Cell]) -> Table:
    header = (("method", "data, seed"), ("n", "cut/err"), ("Acc@t1",), ("Acc@t2",), ("delta",), ("i->c",), ("c->i",))
    cells = []
    for row, name in zip(rows, names, strict=True):
        figures = [
            _figure(row, lambda run: metrics.accuracy(run, 1)),
            _figure(row, lambda run: metrics.accuracy(run, 2)),
            _figure(row, metrics.delta, signed=True),
            _figure(row, metrics.i_to_c),
            _figure(row, metrics.c_to_i),
        ]
        cells.append((name, _counts(row), *figures))
    return Table(_title("self-correction", group), header, tuple(cells), (*LEGEND, *_warnings(rows, names)))


def _counts(row: RunSummary) -> Cell:
    samples = row.samples
    return (str(row.n), f"{row.truncated}/{row.errors}", *([f"x {samples}"] if samples > 1 else []))


def _warnings(rows: Sequence[RunSummary], names: Sequence[Cell]) -> list[str]:
    notes = []
    for row, name in zip(rows, names, strict=True):
        faults = []
        if row.errors:
            faults.append(f"episodes not graded, and in no figure: {row.errors}")
        if row.missing:
            faults.append(f"episodes still missing: {row.missing}")
        if faults:
            notes.append(
                f"* {name[0].removesuffix(' *')}: {'; '.join(faults)}. The same command again finishes the run."
            )
    return notes


def _figure(row: RunSummary, metric: Callable[[Outcomes], Estimate], signed: bool = False) -> Cell:
    """A metric of a row in percent, its interval, and for pooled seeds the spread."""
    cell = _estimate(metric(row.outcomes), signed)
    if not row.seeds or len(cell) == 1:
        return cell
    return (*cell, f"sd {percent(metrics.spread([metric(seed.outcomes).value for seed in row.seeds]))}")


def _estimate(estimate: Estimate, signed: bool = False) -> Cell:
    if math.isnan(estimate.value):
        return ("-",)
    low, high = percent(estimate.low, signed), percent(estimate.high, signed)
    return percent(estimate.value, signed), f"{low}, {high}"


def _later_turns(group: tuple[str, str, str], rows: Sequence[RunSummary], names: Sequence[Cell]) -> list[Table]:
    """Turns 3 and later, each against the turn before; nothing where all runs have two."""
    cells: list[Row] = []
    for row, name in zip(rows, names, strict=True):
        for turn in range(3, row.turns + 1):
            flips = (lambda run, metric=metric, turn=turn: metric(run, turn - 1, turn) for metric in FLIPS)
            change, *both = flips
            cells.append(
                (
                    name,
                    (str(turn),),
                    _figure(row, lambda run, turn=turn: metrics.accuracy(run, turn)),
                    _figure(row, change, signed=True),
                    *(_figure(row, flip) for flip in both),
                )
            )
    header = (("method",), ("turn",), ("Acc",), ("delta",), ("i->c",), ("c->i",))
    return [Table(_title("later turns, each against the one before", group), header, tuple(cells))] if cells else []


FLIPS = (metrics.delta, metrics.i_to_c, metrics.c_to_i)


def _against_table(
    group: tuple[str, str, str],
    rows: Sequence[RunSummary],
    names: Sequence[Cell],
    runs: Sequence[RunSummary],
    baseline: str,
) -> list[Table]:
    cells: list[Row] = []
    for row, name in zip(rows, names, strict=True):
        found = against(row, runs, baseline)
        if found is not None:
            p_value = "<0.001" if found.p_value < 0.001 else f"{found.p_value:.3f}"
            differences = _estimate(found.acc_t2, signed=True), _estimate(found.delta, signed=True)
            cells.append((name, (str(found.problems),), *differences, (p_value,)))
    header = (("method",), ("problems",), ("Acc@t2", "difference"), ("delta", "difference"), ("p of", "Acc@t2"))
    note = (
        "On the problems that both were scored on: points, paired bootstrap over problems (95 %), and McNemar's exact "
        "test of equal Acc@t2 (a sign-flip test by problem where a problem has several samples)."
    )
    return [Table(_title(f"against {baseline}", group), header, tuple(cells), (note,))] if cells else []


def _edits_table(group: tuple[str, str, str], rows: Sequence[RunSummary], names: Sequence[Cell]) -> list[Table]:
    cells: list[Row] = []
    for row, name in zip(rows, names, strict=True):
        ratios = row.edits.ratios
        if ratios.size:
            lower, median, upper = np.quantile(ratios, [0.25, 0.5, 0.75])
            tokens = "-" if math.isnan(row.tokens) else f"{row.tokens:.0f}"
            spread = f"{median:.2f}", f"{lower:.2f} to {upper:.2f}"
            shares = (percent(row.edits.same_answer),), (percent(row.edits.same_text),)
            cells.append((name, *shares, spread, (tokens,), (_time(row),)))
    header = (("method",), ("same", "answer"), ("same", "text"), ("edit ratio", "quartiles"), ("tokens",), ("time",))
    note = (
        "Attempt 2 against attempt 1: percent of episodes with the same answer and with the same text; edit ratio: "
        "Levenshtein distance in characters over the length of both texts, its median and its middle half. "
        "tokens: mean sampled tokens an episode."
    )
    return [Table(_title("how attempts change", group), header, tuple(cells), (note,))] if cells else []


def _time(row: RunSummary) -> str:
    seconds = row.identity.seconds
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def _tag_tables(
    group: tuple[str, str, str], rows: Sequence[RunSummary], names: Sequence[Cell], tag: str
) -> list[Table]:
    """Flips for each value of a tag: above i->c, beneath c->i, in as many tables as 80 columns ask for."""
    values = list(dict.fromkeys(value for row in rows for value in row.tags.get(tag, {})))
    values.sort(key=lambda value: (isinstance(value, str), value))
    note = f"i->c, beneath it c->i and the number of problems, in percent of the problems of this {tag}."
    tables = []
    for shown in _side_by_side(values):
        header = (("method",), *(tuple(str(value).split()) for value in shown))
        cells = tuple(
            (name, *(_flip_cell(row.tags.get(tag, {}).get(value)) for value in shown))
            for row, name in zip(rows, names, strict=True)
        )
        tables.append(Table(_title(f"flips by {tag}", group), header, cells, (note,)))
    return tables


def _side_by_side(values: Sequence[str | int]) -> list[list[str | int]]:
    """The values in lots that fit beside each other."""
    lots: list[list[str | int]] = []
    room = 0
    for value in values:
        width = 1 + max(6, *(len(word) for word in str(value).split()))
        if width > room:
            lots.append([])
            room = TAG_COLUMNS
        lots[-1].append(value)
        room -= width
    return lots


def _flip_cell(run: Outcomes | None) -> Cell:
    gains, losses = (metrics.i_to_c(run), metrics.c_to_i(run)) if run is not None else (UNKNOWN, UNKNOWN)
    return percent(gains.value), percent(losses.value), f"n {run.n if run is not None else 0}"
