"""Figures that papers have published (results/published.csv), to be shown beside measured ones.

They are never tested against and never ranked: papers differ in protocol, such as greedy decoding of one run or the
mean of 32 samples. So the protocol stands in every row.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scorebench.report.baseline import Group, heading
from scorebench.report.render import Cell, Table
from scorebench.report.rows import Row

if TYPE_CHECKING:
    import pandas as pd

FILE = Path(__file__).with_name("published.csv")  # a link to results/published.csv

# The benchmark in published.csv that a task is named after. MBPP has no published table of self-correction.
BENCHMARKS = {"math": "MATH500", "humaneval": "HumanEval", "mbpp-r": "MBPP-R", "gsm8k": "GSM8K"}
FIGURES = {"t1": "acc_t1", "t2": "acc_t2", "delta": "delta", "i_to_c": "i_to_c", "c_to_i": "c_to_i"}
COLUMNS = {"model": "model", "method": "method", "protocol": "protocol", "metric_note": "note", "source": "source"}


def published(task: str) -> pd.DataFrame:
    """The rows on a task's benchmark, by protocol. All is text: the five metrics in percent as printed, "" for none."""
    import pandas as pd

    rows = pd.read_csv(FILE, dtype=str, keep_default_na=False)
    return rows.loc[rows["benchmark"] == BENCHMARKS.get(task)].sort_values("protocol", kind="stable")


def published_table(group: Group) -> Table:
    """The published rows on the benchmark of a task. No rows on embedded problems, which are no benchmark."""
    task, data, _ = group
    title = f"{heading(group)}: published figures"
    rows = published(task)
    if data == "embedded" or rows.empty:
        why = "embedded problems are not the benchmark" if data == "embedded" else f"none are known for {task}"
        return Table(title, (), (), (f"No published figures are shown: {why}.",))
    header = (("method",), ("Acc@t1",), ("Acc@t2",), ("delta",), ("i->c",), ("c->i",), ("protocol",))
    cells = tuple(
        (_name(row), *((str(row[name]) or "-",) for name in FIGURES), _protocol(row)) for row in rows.to_dict("records")
    )
    folder = " The folder's problems may be others than the benchmark's." if data.startswith("folder:") else ""
    notes = (
        f"Published figures on {BENCHMARKS[task]}, in percent, as their papers print them; results/published.csv has "
        f"the sources. Protocols differ, so nothing here is tested against them and nothing is ranked.{folder}",
    )
    return Table(title, header, cells, notes)


def _name(row: dict[str, str]) -> Cell:
    label = row["method"]
    if "oracle" in f"{row['metric_note']} {row['protocol']}".lower() and "oracle" not in label.lower():
        label += " (oracle)"
    return label, row["model"], row["paper"]


def _protocol(row: dict[str, str]) -> Cell:
    from textwrap import wrap

    return tuple(line for text in (row["protocol"], row["metric_note"]) for line in wrap(text, 22))


def published_rows(tasks: Sequence[str]) -> list[Row]:
    """The same as rows of `compare`, in fractions of 1: data is "published", and protocol and source say the rest."""
    rows: list[Row] = []
    for task in tasks:
        for row in published(task).to_dict("records"):
            named: Row = {ours: str(row[theirs]) or None for theirs, ours in COLUMNS.items()}
            figures: Row = {ours: _fraction(str(row[theirs])) for theirs, ours in FIGURES.items()}
            rows.append({"task": task, "data": "published", **named, **figures})
    return rows


def _fraction(text: str) -> float | None:
    return round(float(text) / 100, 6) if text else None
