"""From the numbers of rows to the cells that people read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from scorebench.api.percent import percent
from scorebench.report.baseline import Group, heading
from scorebench.report.render import Cell, Table
from scorebench.report.rows import FIVE, figures, frame_of
from scorebench.report.summary import RunSummary, labels
from scorebench.statistics import metrics

if TYPE_CHECKING:
    import pandas as pd

Numbers = Mapping[str, Any]  # a row of a DataFrame: columns of rows.figures, and what a table adds


@dataclass(frozen=True)
class Part:
    """The runs of one task, data and model. rows: single runs, or seeds pooled. runs: all runs, none pooled."""

    group: Group
    rows: Sequence[RunSummary]
    runs: Sequence[RunSummary]

    @cached_property
    def names(self) -> list[Cell]:
        """The first cell of each row: the method, and what must never be left out of a row beneath it."""
        return [name_of(row, label) for row, label in zip(self.rows, labels(self.rows), strict=True)]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The numbers of each row, with the standard deviation over seeds of the five metrics as NAME_sd."""
        return frame_of([{**figures(row, self.runs), **_deviations(row)} for row in self.rows])

    def title(self, what: str) -> str:
        """The title of a table of this part."""
        return f"{heading(self.group)}: {what}"

    def table(self, what: str, columns: Sequence[Column], notes: Sequence[str] = ()) -> Table:
        """A table of the part's rows; a row in which no column has a figure is left out."""
        return table_of(self.title(what), self.frame, self.names, columns, notes)


def name_of(row: RunSummary, label: str) -> Cell:
    """The label, marked where episodes are missing; beneath it the data, the split, the limit and the seeds."""
    identity = row.identity
    told = [
        identity.data,
        identity.split if identity.split != "test" else "",
        f"first {identity.limit}" if identity.limit else "",
        _seeds(row),
    ]
    return f"{label} *" if row.errors or row.missing else label, ", ".join(filter(None, told))


def _seeds(row: RunSummary) -> str:
    if row.seeds:
        return f"{len(row.seeds)} seeds"
    if row.equal_runs:
        return "greedy"
    return "" if row.identity.seed is None else f"seed {row.identity.seed}"


def _deviations(row: RunSummary) -> dict[str, Any]:
    if not row.seeds:
        return {}
    fives = [seed.five() for seed in row.seeds]
    return {f"{name}_sd": metrics.spread([five[name].value for five in fives]) for name in FIVE}


@dataclass(frozen=True)
class Column:
    """A column of a table for people. header: its heading. cell: what a row's numbers look like in it."""

    header: Cell
    cell: Callable[[Numbers], Cell]


def table_of(
    title: str, frame: pd.DataFrame, names: Sequence[Cell], columns: Sequence[Column], notes: Sequence[str] = ()
) -> Table:
    """A table of the rows of a DataFrame of numbers; a row in which no column has a figure is left out."""
    records = frame.to_dict("records")
    rows = [(name, *(column.cell(numbers) for column in columns)) for name, numbers in zip(names, records, strict=True)]
    shown = tuple(cells for cells in rows if any(cell != NOTHING for cell in cells[1:]))
    return Table(title, (("method",), *(column.header for column in columns)), shown, tuple(notes) if shown else ())


NOTHING: Cell = ("-",)


def interval(header: str | Cell, name: str, signed: bool = False) -> Column:
    """A share in percent, its interval, and the standard deviation over seeds where there is one."""
    return Column(_header(header), partial(_interval, name, signed))


def _interval(name: str, signed: bool, numbers: Numbers) -> Cell:
    if is_missing(numbers.get(name)):
        return NOTHING
    value, low, high = (percent(numbers[f"{name}{end}"], signed) for end in ("", "_low", "_high"))
    deviation = _float(numbers.get(f"{name}_sd"))
    return value, f"{low}, {high}", *([] if math.isnan(deviation) else [f"sd {percent(deviation)}"])


def share(header: str | Cell, name: str) -> Column:
    """A share in percent, without an interval."""
    return Column(_header(header), lambda numbers: (percent(_float(numbers.get(name))),))


def count(header: str | Cell, name: str) -> Column:
    """A whole number, or a mean without decimals."""
    return Column(_header(header), partial(_count, name))


def _count(name: str, numbers: Numbers) -> Cell:
    value = _float(numbers.get(name))
    return NOTHING if math.isnan(value) else (f"{value:,.0f}",)


def _header(header: str | Cell) -> Cell:
    return (header,) if isinstance(header, str) else header


def is_missing(value: Any) -> bool:
    """Whether a number is not there: pandas has None or nan for it."""
    return value is None or bool(np.isnan(value))


def _float(value: Any) -> float:
    return math.nan if is_missing(value) else float(value)
