"""`scorebench compare` and `scorebench leaderboard`: summaries in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from scorebench.report import render, rows
from scorebench.report.published import published_rows
from scorebench.report.summary import RunSummary
from scorebench.report.tables import people_tables

Format = Literal["table", "md", "latex", "csv", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)


def compare(
    summaries: Sequence[RunSummary],
    form: Format = "table",
    baseline: str | None = None,
    expand_seeds: bool = False,
    tags: Sequence[str] = ("level", "subject"),
    published: bool = False,
) -> str:
    """The runs side by side. csv and json have a row a run, in fractions; the others are tables for people, in percent.

    published: whether the figures of papers on the same benchmarks stand beside them.
    Raises UserError where no run is of the baseline.
    """
    if form in ("csv", "json"):
        machine = rows.compare_rows(summaries, baseline)
        if published:
            machine = rows.with_same_columns([*machine, *published_rows(sorted({s.identity.task for s in summaries}))])
        return rows.to_csv(machine) if form == "csv" else rows.to_json(machine)
    people = people_tables(summaries, baseline, expand_seeds, tags, published)
    return {"table": render.as_text, "md": render.as_markdown, "latex": render.as_latex}[form](people)


def leaderboard_csv(summaries: Sequence[RunSummary]) -> str:
    """leaderboard.csv: the finished runs, best Acc@t2 first within a task, data and model."""
    return rows.to_csv(rows.leaderboard(summaries))
