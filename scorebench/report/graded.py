"""The tables of a graded file: `scorebench grade`."""

from __future__ import annotations

from scorebench.evaluation.grade_file import Graded
from scorebench.report.compare import compare
from scorebench.report.render import as_text as text_of
from scorebench.report.single import single_table
from scorebench.report.summary import summarize
from scorebench.statistics import metrics


def as_text(result: Graded) -> str:
    """The five metrics where there are corrections, else accuracy and pass@k."""
    episodes = [row.episode for row in result.rows]
    run = metrics.outcomes(episodes)
    if run.turns == 1:
        return text_of([single_table(result.task.name, result.data, result.name, run)])
    task = {"name": result.task.name, "version": result.task.version}
    meta = {"task": task, "data": result.data, "method": {"name": result.name}}
    return compare([summarize(meta, episodes, result.file.name)])
