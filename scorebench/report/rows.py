"""Machine-readable rows: one a run and seed, fractions of 1, in the leaderboard's columns.

docs/metrics.md describes every column. Those of the contract come first and keep their names and order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scorebench.api.text import as_text
from scorebench.report.baseline import against, check_baseline, gain_over_resample, group_of
from scorebench.report.escape import csv_cell
from scorebench.report.identity import Identity
from scorebench.report.summary import RunSummary
from scorebench.statistics import metrics
from scorebench.statistics.further_metrics import FURTHER, echoes, further, readings
from scorebench.statistics.intervals import UNKNOWN, Estimate, holm
from scorebench.statistics.majority_vote import Scaling

if TYPE_CHECKING:
    import pandas as pd

FIVE = ("acc_t1", "acc_t2", "delta", "i_to_c", "c_to_i")

COLUMNS = (
    *("task", "data", "method", "model", "seed", "turns", "n"),
    *(f"{name}{end}" for name in FIVE for end in ("", "_low", "_high")),
    *("truncated", "errors", "tokens", "seconds", "run"),
)

Row = dict[str, str | int | float | None]

DISTINGUISHABLE = 0.05  # the largest adjusted p-value of a difference that stands


def row(summary: RunSummary, summaries: Sequence[RunSummary] = ()) -> Row:
    """A run in the leaderboard's columns and order; None where a figure does not exist.

    summaries: all runs, among which the control `resample` is looked for.
    """
    return _rounded(figures(summary, summaries))


def figures(summary: RunSummary, summaries: Sequence[RunSummary] = ()) -> Row:
    """The row before it is rounded, also of several seeds pooled; tables for people are made from this one."""
    identity = summary.identity
    cells: Row = {
        "task": identity.task,
        "data": identity.data,
        "method": identity.method,
        "model": identity.model,
        "seed": identity.seed,
        "turns": summary.turns,
        "n": summary.n,
    }
    for name, estimate in summary.five().items():
        cells |= _estimate(name, estimate)
    cells |= {
        "truncated": summary.truncated,
        "errors": summary.errors,
        "tokens": summary.tokens,
        "seconds": identity.seconds,
        "run": identity.run,
    }
    cells |= _description(summary)
    for name, estimate in further(summary.outcomes).items():
        cells |= _estimate(name, estimate)
    gain, control = gain_over_resample(summary, summaries)
    return cells | _estimate("gain_over_resample", gain) | {"resample_run": control or None} | _form(summary)


def _description(summary: RunSummary) -> Row:
    """What the run was, beyond the contract's columns."""
    identity = summary.identity
    return {
        "samples": summary.samples,
        "missing": summary.missing,
        "split": identity.split,
        "limit": identity.limit,
        "engine": identity.engine or None,
        "reading": identity.reading or None,
        "temperature": identity.temperature,
        "top_p": identity.top_p,
        "max_tokens": identity.max_tokens,
        "system_prompt": identity.system_prompt or None,
        "settings": " ".join(identity.changed) or None,
        "training": identity.training or None,
        **{f"training_{name}": identity.trained_with.get(name) for name in SPENT},
        "oracle": int(identity.oracle),
    }


SPENT = ("replies", "sampled_tokens", "gradient_steps", "examples")  # of `spent` in training.json


def _form(summary: RunSummary) -> Row:
    """How many attempts stated their answer as asked, by turn, and how many echo the problem."""
    run = summary.outcomes
    echoed, echoed_passed = echoes(run)
    shares = {f"{word}_t{turn}": share for turn in (1, 2) for word, share in readings(run, turn).items()}
    return {**shares, "echoed": echoed, "echoed_passed": echoed_passed}


def compare_rows(summaries: Sequence[RunSummary], baseline: str | None = None) -> list[Row]:
    """The leaderboard's columns, and after them what these runs have besides; every row has the same columns.

    acc_t3, delta_t3, ... (each against the turn before), where a run has more than two turns; with a baseline, the
    differences from it, the p-value, Holm's adjusted one, and what follows in words.
    """
    rows = [figures(summary, summaries) for summary in summaries]
    for turn in range(3, max((summary.turns for summary in summaries), default=0) + 1):
        _extend(rows, [later_turn(summary, turn) for summary in summaries])
    if baseline is not None:
        check_baseline(summaries, baseline)
        _extend(rows, comparisons(summaries, summaries, baseline))
    return [_rounded(cells) for cells in rows]


def _extend(rows: list[Row], more: Sequence[Row]) -> None:
    for cells, added in zip(rows, more, strict=True):
        cells.update(added)


def later_turn(summary: RunSummary, turn: int) -> Row:
    """Accuracy and flips of turn 3 or later, against the turn before."""
    run = summary.outcomes
    return {
        **_estimate(f"acc_t{turn}", metrics.accuracy(run, turn)),
        **_estimate(f"delta_t{turn}", metrics.delta(run, turn - 1, turn)),
        **_estimate(f"i_to_c_t{turn}", metrics.i_to_c(run, turn - 1, turn)),
        **_estimate(f"c_to_i_t{turn}", metrics.c_to_i(run, turn - 1, turn)),
    }


def comparisons(rows: Sequence[RunSummary], summaries: Sequence[RunSummary], baseline: str) -> list[Row]:
    """Each row against the baseline among `summaries`. Holm's correction is over the rows of a task, data and model."""
    found = [against(row, summaries, baseline) for row in rows]
    adjusted: dict[int, float] = {}
    for group in dict.fromkeys(map(group_of, rows)):
        places = [place for place, row in enumerate(rows) if group_of(row) == group and found[place]]
        adjusted |= dict(zip(places, holm([_p(found[place]) for place in places]), strict=True))
    return [
        {
            "baseline": baseline,
            "baseline_problems": comparison.problems if comparison else None,
            **_estimate("acc_t2_difference", comparison.acc_t2 if comparison else UNKNOWN),
            **_estimate("delta_difference", comparison.delta if comparison else UNKNOWN),
            "p_value": comparison.p_value if comparison else None,
            "p_value_holm": adjusted[place] if comparison else None,
            "conclusion": _conclusion(comparison.acc_t2.value, adjusted[place]) if comparison else None,
        }
        for place, comparison in enumerate(found)
    ]


def _p(comparison: metrics.Comparison | None) -> float:
    return comparison.p_value if comparison else math.nan


def _conclusion(difference: float, adjusted: float) -> str:
    if not adjusted < DISTINGUISHABLE:
        return "not distinguishable"
    return "better" if difference > 0 else "worse"


def scaling_rows(identity: Identity, curve: Scaling) -> list[Row]:
    """The scaling curves of one method: a row a way and budget; on sequential rows, the difference from parallel."""
    whose = {"task": identity.task, "data": identity.data, "method": identity.method, "model": identity.model}
    rows: list[Row] = [
        {
            **whose,
            "way": point.way,
            "budget": point.budget,
            "tokens": point.tokens,
            **_estimate("acc", point.accuracy),
            **_estimate("difference", curve.differences[point.budget] if point.way == "sequential" else UNKNOWN),
        }
        for point in curve.points
    ]
    return [_rounded(cells) for cells in rows]


def _estimate(name: str, estimate: Estimate) -> Row:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _rounded(cells: Row) -> Row:
    """Shares with six decimals, p-values with four digits; None in the place of what is no number."""
    return {name: _number(name, value) if isinstance(value, float) else value for name, value in cells.items()}


def _number(name: str, value: float) -> float | None:
    if not math.isfinite(value):
        return None
    return float(f"{value:.4g}") if name.startswith("p_value") else round(value, 6)


def with_same_columns(rows: Sequence[Row]) -> list[Row]:
    """The rows, each with the columns of all of them."""
    names = dict.fromkeys(name for cells in rows for name in cells)
    return [dict.fromkeys(names) | cells for cells in rows]


def frame_of(rows: Sequence[Row]) -> pd.DataFrame:
    """The rows as a DataFrame; with the leaderboard's columns where there are none."""
    import pandas as pd

    return pd.DataFrame(rows, columns=None if rows else list(LEADERBOARD), dtype=object)


def to_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV with a header line; an empty cell where a figure does not exist."""
    safe = [{name: csv_cell(value) for name, value in cells.items()} for cells in rows]
    return frame_of(safe).to_csv(index=False, lineterminator="\n")


def to_json(rows: Sequence[Row]) -> str:
    """The rows as a JSON list of objects; null where a figure does not exist.

    Not by pandas' own `to_json`, which turns whole numbers of columns with a gap into fractions and escapes slashes.
    """
    return as_text(json.dumps(list(rows), indent=2, allow_nan=False, ensure_ascii=False)) + "\n"


LEADERBOARD = (
    *COLUMNS,
    *("samples", "missing", "split", "limit", "engine", "reading", "temperature", "top_p", "max_tokens"),
    *("system_prompt", "settings", "training", *(f"training_{name}" for name in SPENT), "oracle"),
    *(f"{name}{end}" for name in (*FURTHER, "gain_over_resample") for end in ("", "_low", "_high")),
    *("resample_run", *(f"{word}_t{turn}" for turn in (1, 2) for word in ("stated", "loose", "none"))),
    *("echoed", "echoed_passed", "rank"),
)


def leaderboard(summaries: Sequence[RunSummary]) -> list[Row]:
    """The rows of all finished runs, best Acc@t2 first within a task, data and model.

    rank counts within the runs that answered the same problems of the same split; it is None for a run that an oracle
    took part in, and such runs come last. A run that still owes episodes is no result yet and has no row: `left_out`
    says so to the user.
    """
    finished = [summary for summary in summaries if not summary.missing]
    places: dict[tuple[Any, ...], int] = {}
    rows = []
    for summary in sorted(finished, key=_best_first):
        rank = None
        if not summary.identity.oracle:
            settings = summary.identity.settings
            key = (*group_of(summary), summary.identity.split, settings.get("problems.digest"))
            rank = places[key] = places.get(key, 0) + 1
        rows.append(row(summary, summaries) | {"rank": rank})
    return rows


def _best_first(summary: RunSummary) -> tuple[Any, ...]:
    accuracy = metrics.accuracy(summary.outcomes, 2).value
    return (*group_of(summary), summary.identity.oracle, math.inf if math.isnan(accuracy) else -accuracy)


def left_out(summaries: Sequence[RunSummary]) -> list[str]:
    """A sentence for each run that the leaderboard leaves out."""
    return [
        f"{summary.identity.run} is left out: {summary.missing:,} of its episodes are missing; the command that made "
        "it finishes it."
        for summary in summaries
        if summary.missing
    ]
