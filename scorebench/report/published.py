"""Figures that papers have published (results/published.csv), to be shown beside measured ones.

They are never tested against and never ranked: papers differ in protocol, such as greedy decoding of one run or the
mean of 32 samples. So the protocol stands in every row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

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


def published_tables(group: Group) -> list[Table]:
    """The published rows on the benchmark of a task, a table for each protocol; none on embedded problems."""
    task, data, _ = group
    title = f"{heading(group)}: published figures"
    rows = published(task)
    if data == "embedded" or rows.empty:
        why = "embedded problems are not the benchmark" if data == "embedded" else f"none are known for {task}"
        return [Table(title, (), (), (f"No published figures are shown: {why}.",))]
    note = (
        f"Figures on {BENCHMARKS[task]} in percent, as the papers print them; results/published.csv has the sources. "
        "Protocols differ, so nothing here is tested against them and nothing is ranked."
    )
    if data.startswith("folder:"):
        note += " The problems of the folder may be others than the benchmark's."
    by_protocol = rows.groupby("protocol", sort=False)
    return [_table(f"{title}, {protocol}", some.to_dict("records"), note) for protocol, some in by_protocol]


def _table(title: str, rows: Sequence[Mapping[Any, str]], note: str) -> Table:
    from textwrap import wrap

    remarks = [row["metric_note"].replace(COMPUTED, "").strip("; ") for row in rows]
    lines = [
        (_name(row), *((row[name] or "-",) for name in FIGURES), *([tuple(wrap(remark, 24))] if any(remarks) else []))
        for row, remark in zip(rows, remarks, strict=True)
    ]
    header = (("method",), ("Acc@t1",), ("Acc@t2",), ("delta",), ("i->c",), ("c->i",))
    computed = (
        "delta is computed from Acc@t1 and Acc@t2." if any(COMPUTED in row["metric_note"] for row in rows) else ""
    )
    shown = tuple((*cells[:-1], cells[-1] or ("",)) for cells in lines)
    notes = tuple(filter(None, (note, computed)))
    return Table(title, (*header, *([("note",)] if any(remarks) else [])), shown, notes)


COMPUTED = "delta computed from t1, t2"


def _name(row: Mapping[Any, str]) -> Cell:
    label = row["method"]
    if "oracle" in f"{row['metric_note']} {row['protocol']}".lower() and "oracle" not in label.lower():
        label += " (oracle)"
    return label, f"{row['model']}, {row['paper']}"


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
