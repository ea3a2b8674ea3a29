"""Tables for people: the five metrics, what stands beside them, comparisons, how attempts change, flips by tag."""

from __future__ import annotations

from collections.abc import Sequence

from scorebench.report.baseline import check_baseline, group_of
from scorebench.report.published import published_tables
from scorebench.report.render import Table
from scorebench.report.summary import RunSummary, pool_seeds
from scorebench.report.tables.attempts import budget_table, edits_table, later_turns, tag_tables
from scorebench.report.tables.cells import Part
from scorebench.report.tables.compared import against_table, correction_table
from scorebench.report.tables.five import five_table
from scorebench.report.tables.further import form_table, kept_table


def people_tables(
    summaries: Sequence[RunSummary],
    baseline: str | None = None,
    expand_seeds: bool = False,
    tags: Sequence[str] = ("level", "subject"),
    published: bool = False,
) -> list[Table]:
    """Everything that `compare` shows, for each task, data and model in turn.

    baseline: the method or run that the others are compared with, on the same problems. expand_seeds: a row a seed
    in place of one pooled row. tags: what flips are broken down by, where the problems have such tags. published:
    whether figures of papers on the same benchmark stand beside them.

    Raises UserError where no run is of the baseline.
    """
    if baseline is not None:
        check_baseline(summaries, baseline)
    tables: list[Table] = []
    for group in dict.fromkeys(map(group_of, summaries)):
        runs = [summary for summary in summaries if group_of(summary) == group]
        part = Part(group, runs if expand_seeds else pool_seeds(runs), runs)
        tables.append(five_table(part))
        tables += later_turns(part)
        if baseline is not None:
            tables += against_table(part, baseline)
        tables += [correction_table(part), kept_table(part), form_table(part), edits_table(part), budget_table(part)]
        tables += [table for tag in tags for table in tag_tables(part, tag)]
        if published:
            tables += published_tables(group)
    return [table for table in tables if table.rows or table.notes]  # without those that have nothing to show
