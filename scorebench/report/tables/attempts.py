"""Tables of later turns, of how attempts change, of what a training took, and of flips by tag."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from scorebench.api.percent import percent
from scorebench.report.render import BENEATH, Cell, Table
from scorebench.report.rows import SPENT, Row, frame_of, later_turn
from scorebench.report.summary import RunSummary
from scorebench.report.tables.cells import Column, Part, count, interval, is_missing, table_of
from scorebench.statistics import metrics
from scorebench.statistics.intervals import UNKNOWN
from scorebench.statistics.outcomes import Outcomes

TAG_COLUMNS = 60  # what 80 columns leave for the values of a tag, beside the methods


def later_turns(part: Part) -> list[Table]:
    """Turns 3 and later, each against the turn before; nothing where all runs have two."""
    tables = []
    for turn in range(3, max(row.turns for row in part.rows) + 1):
        columns = (
            interval(f"Acc@t{turn}", f"acc_t{turn}"),
            interval("delta", f"delta_t{turn}", signed=True),
            interval("i->c", f"i_to_c_t{turn}"),
            interval("c->i", f"c_to_i_t{turn}"),
        )
        frame = frame_of([later_turn(row, turn) for row in part.rows])
        tables.append(table_of(part.title(f"attempt {turn} against attempt {turn - 1}"), frame, part.names, columns))
    return tables


def edits_table(part: Part) -> Table:
    """How much attempt 2 differs from attempt 1, and what an episode took."""
    rows = []
    for row, name in zip(part.rows, part.names, strict=True):
        ratios = row.edits.ratios
        if ratios.size:
            lower, median, upper = np.quantile(ratios, [0.25, 0.5, 0.75])
            tokens = "-" if math.isnan(row.tokens) else f"{row.tokens:.0f}"
            spread = f"{median:.2f}", f"{lower:.2f}, {upper:.2f}"
            shares = (percent(row.edits.same_answer),), (percent(row.edits.same_text),)
            rows.append((name, *shares, spread, (tokens,), (_time(row),)))
    header = (("method",), ("same", "answer"), ("same", "text"), ("edit", "ratio"), ("tokens",), ("time",))
    notes = (
        "Attempt 2 against attempt 1: percent of episodes with the same answer and with the same text; edit ratio: "
        "Levenshtein distance in characters over the length of both texts, its median, and its quartiles "
        f"{BENEATH}. tokens: mean sampled tokens an episode.",
    )
    return Table(part.title("how attempts change"), header, tuple(rows), notes if rows else ())


def _time(row: RunSummary) -> str:
    seconds = row.identity.seconds
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def budget_table(part: Part) -> Table:
    """What each training took, where the checkpoint says it; means over the seeds."""
    rows: list[Row] = []
    for row in part.rows:
        spent = [seed.identity.trained_with for seed in row.seeds or (row,)]
        rows.append({name: _mean([one.get(name) for one in spent]) for name in SPENT})
    headers = (("replies", "sampled"), ("tokens", "sampled"), ("gradient", "steps"), ("examples",))
    columns: list[Column] = [count(header, name) for header, name in zip(headers, SPENT, strict=True)]
    table = table_of(part.title("what the training took"), frame_of(rows), part.names, columns)
    if not table.rows:
        return table
    notes = ["Of one training, a mean where several seeds are pooled. examples: dialogues in all gradient steps."]
    replies = {cells[1] for cells in table.rows}
    if len(replies) > 1:
        notes.append("These methods were not given the same number of sampled replies.")
    return Table(table.title, table.header, table.rows, tuple(notes))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if not is_missing(value)]
    return float(np.mean(known)) if known and len(known) == len(values) else None  # type: ignore[arg-type]


def tag_tables(part: Part, tag: str) -> list[Table]:
    """Flips for each value of a tag: i->c, c->i and the number of problems, in as many tables as 80 columns ask for."""
    values = list(dict.fromkeys(value for row in part.rows for value in row.tags.get(tag, {})))
    values.sort(key=lambda value: (isinstance(value, str), value))
    note = f"i->c, and {BENEATH} c->i and the number of problems, in percent of the problems of this {tag}."
    tables = []
    for shown in _side_by_side(values):
        header = (("method",), *(tuple(str(value).split()) or ("",) for value in shown))
        rows = tuple(
            (name, *(_flip_cell(row.tags.get(tag, {}).get(value)) for value in shown))
            for row, name in zip(part.rows, part.names, strict=True)
        )
        tables.append(Table(part.title(f"flips by {tag}"), header, rows, (note,)))
    return tables


def _side_by_side(values: Sequence[str | int]) -> list[list[str | int]]:
    """The values in lots that fit beside each other."""
    lots: list[list[str | int]] = []
    room = 0
    for value in values:
        width = 1 + max(6, *map(len, str(value).split()), 0)
        if width > room:
            lots.append([])
            room = TAG_COLUMNS
        lots[-1].append(value)
        room -= width
    return lots


def _flip_cell(run: Outcomes | None) -> Cell:
    gains, losses = (metrics.i_to_c(run), metrics.c_to_i(run)) if run is not None else (UNKNOWN, UNKNOWN)
    return percent(gains.value), percent(losses.value), f"n {run.n if run is not None else 0}"
