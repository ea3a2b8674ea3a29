"""The figures of the page's first screen as plain data: a group for each task, data and model, with a row a method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from scorebench.api.percent import percent
from scorebench.report import plots
from scorebench.report.baseline import Group, by_group, heading, opponent
from scorebench.report.page.stored import StoredRun
from scorebench.report.rows import comparisons
from scorebench.report.summary import RunSummary, labels, pool_seeds
from scorebench.statistics import metrics
from scorebench.statistics.intervals import Estimate

BASELINE = "base"
MINUS = "\N{MINUS SIGN}"


def groups_of(runs: Sequence[StoredRun]) -> list[dict[str, Any]]:
    """Every group with its rows; a row names its runs (its seeds), which the reader of episodes refers to."""
    groups = [_group(group, some) for group, some in by_group([stored.summary for stored in runs]).items()]
    for group, key in zip(groups, _distinct([group["key"] for group in groups]), strict=True):
        group["key"] = key
    return groups


def _group(group: Group, summaries: Sequence[RunSummary]) -> dict[str, Any]:
    rows = sorted(pool_seeds(summaries), key=lambda row: row.identity.method != BASELINE)  # the baseline first
    gains = map(_gain, comparisons(rows, summaries, BASELINE))
    notes = [note for row in rows if (note := opponent(row, summaries, BASELINE).note)]
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
            for row, label, colour, gain in zip(rows, _distinct(labels(rows)), colours, gains, strict=True)
        ],
    }


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, with a number behind those that stood there before."""
    return [name if name not in names[:i] else f"{name} ({names[:i].count(name) + 1})" for i, name in enumerate(names)]


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
        "seeds": "greedy" if row.equal_runs else f"{len(row.seeds)} seeds" if row.seeds else "",
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


def _gain(compared: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a row has over the baseline at attempt 2, on the same problems; None where it is compared with nothing."""
    name = "acc_t2_difference"
    if compared[name] is None:
        return None
    estimate = Estimate(compared[name], compared[f"{name}_low"], compared[f"{name}_high"])
    gain = figure(estimate, signed=True)
    return None if gain is None else {**gain, "conclusion": compared["conclusion"]}


def _warnings(rows: Sequence[RunSummary]) -> list[str]:
    notes = []
    for row, label in zip(rows, labels(rows), strict=True):
        if row.errors:
            notes.append(f"{label}: {row.errors} episodes could not be graded and are in no figure.")
        if row.missing:
            notes.append(f"{label}: {row.missing} episodes are still missing; the same command finishes the run.")
    return notes
