"""The main table: the paper's five metrics."""

from __future__ import annotations

from scorebench.report.render import BENEATH, Cell, Table
from scorebench.report.tables.cells import Column, Numbers, Part, interval

FIVE = (
    interval("Acc@t1", "acc_t1"),
    interval("Acc@t2", "acc_t2"),
    interval("delta", "delta", signed=True),
    interval("i->c", "i_to_c"),
    interval("c->i", "c_to_i"),
)


def five_table(part: Part) -> Table:
    """Acc@t1, Acc@t2, delta, i->c and c->i of each row, with the number of problems that they are shares of."""
    pooled = any(row.seeds for row in part.rows)
    notes = [
        f"Percent of all n problems; {BENEATH}, the 95 % interval"
        + (" over problems and seeds, and the standard deviation (sd) of the seeds." if pooled else " over problems."),
        f"With n, {BENEATH}, cut/err: attempts cut off at the token limit, and episodes left out because an attempt "
        "could not be graded.",
    ]
    if any(row.equal_runs for row in part.rows):
        notes.append("greedy: one run, in which a seed changes nothing: nothing was trained, and decoding is greedy.")
    return part.table("self-correction", (Column(("n",), _counts), *FIVE), (*notes, *_warnings(part)))


def _counts(numbers: Numbers) -> Cell:
    samples = [f"x {numbers['samples']}"] if numbers["samples"] > 1 else []
    return (str(numbers["n"]), f"{numbers['truncated']}/{numbers['errors']}", *samples)


def _warnings(part: Part) -> list[str]:
    notes = []
    for row, name in zip(part.rows, part.names, strict=True):
        faults = []
        if row.errors:
            faults.append(f"episodes not graded, and in no figure: {row.errors}")
        if row.missing:
            faults.append(f"episodes still missing: {row.missing}")
        if faults:
            label = name[0].removesuffix(" *")
            notes.append(f"* {label}: {'; '.join(faults)}. The same command again finishes the run.")
    return notes
