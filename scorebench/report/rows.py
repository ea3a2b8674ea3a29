"""Machine-readable rows: one a run and seed, fractions of 1, in the leaderboard's columns."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence

from scorebench.report.baseline import against, check_baseline
from scorebench.report.summary import Identity, RunSummary
from scorebench.statistics import metrics
from scorebench.statistics.intervals import UNKNOWN, Estimate
from scorebench.statistics.majority_vote import Scaling

FIVE = ("acc_t1", "acc_t2", "delta", "i_to_c", "c_to_i")

COLUMNS = (
    *("task", "data", "method", "model", "seed", "turns", "n"),
    *(f"{name}{end}" for name in FIVE for end in ("", "_low", "_high")),
    *("truncated", "errors", "tokens", "seconds", "run"),
)

Row = dict[str, str | int | float | None]


def row(summary: RunSummary) -> Row:
    """A run in the leaderboard's columns and order; None where a figure does not exist."""
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
    return cells | {
        "truncated": summary.truncated,
        "errors": summary.errors,
        "tokens": _number(summary.tokens),
        "seconds": _number(identity.seconds),
        "run": identity.run,
    }


def compare_rows(summaries: Sequence[RunSummary], baseline: str | None = None) -> list[Row]:
    """The leaderboard's columns, and after them what these runs have besides; every row has the same columns.

    samples, where a run has several a problem; missing, where a run is unfinished; acc_t3, delta_t3, ... (each against
    the turn before), where one has more than two turns; with a baseline, the differences from it and the p-value.
    """
    rows = [row(summary) for summary in summaries]
    if any(summary.samples > 1 for summary in summaries):
        _extend(rows, [{"samples": summary.samples} for summary in summaries])
    if any(summary.missing for summary in summaries):
        _extend(rows, [{"missing": summary.missing} for summary in summaries])
    for turn in range(3, max((summary.turns for summary in summaries), default=0) + 1):
        _extend(rows, [_later_turn(summary, turn) for summary in summaries])
    if baseline is not None:
        check_baseline(summaries, baseline)
        _extend(rows, [_comparison(summary, summaries, baseline) for summary in summaries])
    return rows


def _extend(rows: list[Row], more: Sequence[Row]) -> None:
    for cells, added in zip(rows, more, strict=True):
        cells.update(added)


def _later_turn(summary: RunSummary, turn: int) -> Row:
    run = summary.outcomes
    return {
        **_estimate(f"acc_t{turn}", metrics.accuracy(run, turn)),
        **_estimate(f"delta_t{turn}", metrics.delta(run, turn - 1, turn)),
        **_estimate(f"i_to_c_t{turn}", metrics.i_to_c(run, turn - 1, turn)),
        **_estimate(f"c_to_i_t{turn}", metrics.c_to_i(run, turn - 1, turn)),
    }


def _comparison(summary: RunSummary, summaries: Sequence[RunSummary], baseline: str) -> Row:
    found = against(summary, summaries, baseline)
    return {
        "baseline": baseline,
        "baseline_problems": found.problems if found else None,
        **_estimate("acc_t2_difference", found.acc_t2 if found else UNKNOWN),
        **_estimate("delta_difference", found.delta if found else UNKNOWN),
        "p_value": float(f"{found.p_value:.4g}") if found else None,
    }


def scaling_rows(identity: Identity, curve: Scaling) -> list[Row]:
    """The scaling curves of one method: a row a way and budget; on sequential rows, the difference from parallel."""
    whose = {"task": identity.task, "data": identity.data, "method": identity.method, "model": identity.model}
    return [
        {
            **whose,
            "way": point.way,
            "budget": point.budget,
            "tokens": _number(point.tokens),
            **_estimate("acc", point.accuracy),
            **_estimate("difference", curve.differences[point.budget] if point.way == "sequential" else UNKNOWN),
        }
        for point in curve.points
    ]


def _estimate(name: str, estimate: Estimate) -> Row:
    return {
        name: _number(estimate.value),
        f"{name}_low": _number(estimate.low),
        f"{name}_high": _number(estimate.high),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)


def to_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV with a header line; an empty cell where a figure does not exist."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else list(COLUMNS), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_json(rows: Sequence[Row]) -> str:
    """The rows as a JSON list of objects; null where a figure does not exist."""
    return json.dumps(rows, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def leaderboard(summaries: Sequence[RunSummary]) -> list[Row]:
    """The rows of all finished runs, best Acc@t2 first within a task, data and model.

    A run that still owes episodes is no result yet and has no row: say so to the user (`RunSummary.missing`).
    """

    def rank(cells: Row) -> tuple[str, str, str, float]:
        accuracy = cells["acc_t2"]
        best_first = -accuracy if isinstance(accuracy, float) else math.inf
        return str(cells["task"]), str(cells["data"]), str(cells["model"]), best_first

    return sorted((row(summary) for summary in summaries if not summary.missing), key=rank)
