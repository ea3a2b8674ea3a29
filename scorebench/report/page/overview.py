"""The figures of the page's first screen as plain data: a group for each task, data and model, with a row a method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from scorebench.api.errors import UserError
from scorebench.report import plots
from scorebench.report.baseline import Group, against, by_group, heading
from scorebench.report.page.stored import StoredRun
from scorebench.report.render import percent
from scorebench.report.summary import RunSummary, labels, pool_seeds
from scorebench.statistics import metrics
from scorebench.statistics.intervals import Estimate

BASELINE = "base"
MINUS = "\N{MINUS SIGN}"


def groups_of(runs: Sequence[StoredRun]) -> list[dict[str, Any]]:
    """Every group with its rows; a row names its runs (its seeds), which the reader of episodes refers to."""
    summaries = [stored.summary for stored in runs]
    return [_group(group, some) for group, some in by_group(summaries).items()]


def _group(group: Group, summaries: Sequence[RunSummary]) -> dict[str, Any]:
    rows = sorted(pool_seeds(summaries), key=lambda row: row.identity.method != BASELINE)  # the baseline first
    gains, notes = _gains(rows, summaries)
    colours = plots.colours([row.identity.method for row in rows])
    return {
        "key": plots.file_word(group),
        "task": group[0],
        "heading": heading(group),
        "embedded": group[1] == "embedded",
        "turns": max(row.turns for row in rows),
        "notes": [*notes, *_warnings(rows)],
        "rows": [
            _row(row, label, colour, gain)
            for row, label, colour, gain in zip(rows, labels(rows), colours, gains, strict=True)
        ],
    }


def _row(row: RunSummary, label: str, colour: str, gain: Mapping[str, Any] | None) -> dict[str, Any]:
    five = row.five()
    return {
        "label": label,
        "method": row.identity.method,
        "baseline": row.identity.method == BASELINE,
        "colour": colour,
        "runs": [seed.identity.run for seed in row.seeds] or [row.identity.run],
        "n": row.n,
        "samples": row.samples,
        "errors": row.errors,
        "missing": row.missing,
        "truncated": row.truncated,
        "accuracy": [figure(metrics.accuracy(row.outcomes, turn)) for turn in range(1, row.turns + 1)],
        "delta": figure(five["delta"], signed=True),
        "i_to_c": figure(five["i_to_c"]),
        "c_to_i": figure(five["c_to_i"]),
        "gain": gain,
    }


def figure(estimate: Estimate, signed: bool = False) -> dict[str, Any] | None:
    """A figure in percent: the numbers for drawing and, as `text` and `interval`, those for reading; None for nan."""
    if math.isnan(estimate.value):
        return None
    low, high = percent(estimate.low, signed), percent(estimate.high, signed)
    return {
        "value": 100 * estimate.value,
        "low": 100 * estimate.low,
        "high": 100 * estimate.high,
        "text": percent(estimate.value, signed).replace("-", MINUS),
        "interval": f"{low}, {high}".replace("-", MINUS),
    }


def _gains(
    rows: Sequence[RunSummary], summaries: Sequence[RunSummary]
) -> tuple[list[dict[str, Any] | None], list[str]]:
    """What each row has over the baseline at attempt 2, on the same problems, and a note where that cannot be said."""
    try:
        found = [against(row, summaries, BASELINE) for row in rows]
    except UserError as fault:
        return [None] * len(rows), [f"No gain over the baseline is shown. {fault}"]
    return [
        {**(figure(comparison.acc_t2, signed=True) or {}), "p": comparison.p_value, "problems": comparison.problems}
        if comparison
        else None
        for comparison in found
    ], []


def _warnings(rows: Sequence[RunSummary]) -> list[str]:
    notes = []
    for row, label in zip(rows, labels(rows), strict=True):
        if row.errors:
            notes.append(f"{label}: {row.errors} episodes could not be graded and are in no figure.")
        if row.missing:
            notes.append(f"{label}: {row.missing} episodes are still missing; the same command finishes the run.")
    return notes
