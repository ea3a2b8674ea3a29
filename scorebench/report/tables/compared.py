"""The tables that compare: with a baseline, and with a second sample that does not see the first attempt."""

from __future__ import annotations

from scorebench.report.baseline import RESAMPLE, opponent
from scorebench.report.render import Cell, Table
from scorebench.report.rows import DISTINGUISHABLE, comparisons, frame_of
from scorebench.report.tables.cells import NOTHING, Column, Numbers, Part, count, interval, is_missing, table_of

AGAINST = (
    count("problems", "baseline_problems"),
    interval(("Acc@t2", "difference"), "acc_t2_difference", signed=True),
    interval(("delta", "difference"), "delta_difference", signed=True),
)


def against_table(part: Part, baseline: str) -> list[Table]:
    """Every row against the baseline, on the problems that both were scored on; nothing where there is none."""
    frame = frame_of(comparisons(part.rows, part.runs, baseline))
    columns = (*AGAINST, Column(("p,", "by Holm"), _p_values), Column(("Acc@t2 is",), _conclusion))
    notes = [note for row in part.rows if (note := opponent(row, part.runs, baseline).note)]
    table = table_of(part.title(f"against {baseline}"), frame, part.names, columns)
    if not table.rows and not notes:
        return []
    pooled = any(row.seeds for row in part.rows)
    how = (
        "Points, on the problems that both were scored on. Single runs: paired bootstrap over problems (95 %), and p "
        "of equal Acc@t2 by McNemar's exact test, or by a sign-flip test where a problem has several samples."
    )
    seeds = " Pooled seeds: interval and p over seeds and problems, as both would differ in another training."
    several = (
        "p, and Holm's correction of it for several comparisons with one baseline. not distinguishable: the corrected "
        f"p is not below {DISTINGUISHABLE}. The runs then show no difference, which does not say that there is none."
    )
    return [Table(table.title, table.header, table.rows, (how + (seeds if pooled else ""), several, *notes))]


def _p_values(numbers: Numbers) -> Cell:
    if is_missing(numbers["p_value"]):
        return NOTHING
    return _p(numbers["p_value"]), _p(numbers["p_value_holm"])


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _conclusion(numbers: Numbers) -> Cell:
    found = numbers["conclusion"]
    return NOTHING if found is None else tuple(str(found).split(" "))


def correction_table(part: Part) -> Table:
    """The gain over attempt 1 beside the gain over a second sample; no rows where no run of the control is there."""
    columns = (
        interval(("gain over", "attempt 1"), "delta", signed=True),
        interval(("gain over", RESAMPLE), "gain_over_resample", signed=True),
    )
    there = [place for place, value in enumerate(part.frame["gain_over_resample"]) if not is_missing(value)]
    names = [part.names[place] for place in there]
    note = (
        f"{RESAMPLE} is the control whose second attempt does not see the first. Its Acc@t2 is what a second chance "
        "alone is worth; what a method has beyond it is correction. The control has the same weights where there is "
        "such a run, else those of the model before training."
    )
    return table_of(part.title("was it correction?"), part.frame.iloc[there], names, columns, (note,))
