"""Stored runs and their comparison as pandas DataFrames, for notebooks and for every table that is printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from scorebench.report.rows import compare_rows, frame_of
from scorebench.report.summary import RunSummary, identify
from scorebench.storage.runs import Run

if TYPE_CHECKING:
    import pandas as pd

ATTEMPT_COLUMNS = (
    *("run", "task", "data", "method", "model", "seed", "problem", "sample", "turn", "passed", "outcome", "answer"),
    *("rule", "reading", "echo", "tokens", "finish_reason", "text"),
)


def attempts_frame(runs: Iterable[Run]) -> pd.DataFrame:
    """The attempts of stored runs, one row an attempt, in the order of the stored rows.

    turn counts from 1. passed is False for an attempt that was not graded: `outcome` is "error" there. tokens are the
    sampled tokens of the turn, reviews included. reading and echo are those of `Verdict`.
    Raises UserError where a run's files are damaged.
    """
    import pandas as pd

    return pd.DataFrame([cells for run in runs for cells in _attempts(run)], columns=list(ATTEMPT_COLUMNS))


def _attempts(run: Run) -> Iterable[dict[str, Any]]:
    identity = identify(run.meta(), run.name)
    whose = {name: getattr(identity, name) for name in ("run", "task", "data", "method", "model", "seed")}
    for episode in run.rows().values():
        for turn, attempt in enumerate(episode.attempts, start=1):
            verdict = attempt.verdict
            yield {
                **whose,
                "problem": episode.problem_id,
                "sample": episode.sample,
                "turn": turn,
                "passed": verdict.passed,
                "outcome": verdict.outcome,
                "answer": verdict.answer,
                "rule": verdict.rule,
                "reading": verdict.reading,
                "echo": verdict.echo,
                "tokens": attempt.tokens,
                "finish_reason": attempt.reply.finish_reason,
                "text": attempt.reply.text,
            }


def compare_frame(summaries: Sequence[RunSummary], baseline: str | None = None) -> pd.DataFrame:
    """What `scorebench compare --format csv` prints: a row a run, in fractions of 1; None where there is no figure.

    baseline: the method or the run that the others are compared with. Raises UserError where no run is of it.
    """
    return frame_of(compare_rows(summaries, baseline))
