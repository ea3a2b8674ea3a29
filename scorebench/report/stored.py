"""Stored runs as summaries. One damaged or foreign run does not hide the others: it is named, and left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scorebench.api.errors import UserError
from scorebench.api.progress import progress
from scorebench.report.summary import RunSummary, summarize
from scorebench.storage.runs import Run, all_runs


@dataclass(frozen=True)
class Wanted:
    """Which runs to take: any of these methods, tasks, models and runs; all where nothing is named."""

    method: Sequence[str] = ()
    task: Sequence[str] = ()
    model: Sequence[str] = ()
    run: Sequence[str] = ()

    def takes(self, summary: RunSummary) -> bool:
        identity = summary.identity
        return all(
            not names or getattr(identity, kind) in names
            for kind, names in (("method", self.method), ("task", self.task), ("model", self.model), ("run", self.run))
        )


@dataclass(frozen=True)
class StoredSummaries:
    """The runs that were read. left_out: a sentence for each that was not, with the reason."""

    summaries: list[RunSummary] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def read_summaries(out: Path, wanted: Wanted = Wanted()) -> StoredSummaries:
    """The runs on test problems under `out` that have episodes. UserError where there is none, or none that is wanted.

    Folders whose run.json cannot be read are named by `all_runs`, in a warning.
    """
    found = StoredSummaries()
    runs = all_runs(out / "runs")
    with progress("read runs", len(runs)) as tell:
        for done, run in enumerate(runs, start=1):
            try:
                summary = _summary(run)
            except UserError as fault:
                found.left_out.append(f"{run.name} is left out: {fault}")
            else:
                if isinstance(summary, RunSummary):
                    found.summaries.append(summary)
                else:
                    found.left_out.append(f"{run.name} is left out: {summary}")
            tell(done)
    if not found.summaries:
        others = f" ({' '.join(found.left_out)})" if found.left_out else ""
        raise UserError(
            f"There are no runs in {out / 'runs'}{others}; make one with `scorebench run`, or name another --out."
        )
    kept = [summary for summary in found.summaries if wanted.takes(summary)]
    if not kept:
        raise UserError(_none_of(found.summaries, wanted))
    return StoredSummaries(kept, found.left_out)


def _summary(run: Run) -> RunSummary | str:
    """The summary of a run, or why it has none."""
    if run.identity["split"] != "test":
        return f"it is on the {run.identity['split']} problems, which serve to choose settings."
    episodes = list(run.rows().values())
    return summarize(run.meta(), episodes, run.name) if episodes else "it has no episode yet."


def _none_of(summaries: Sequence[RunSummary], wanted: Wanted) -> str:
    """Which filter takes none of the runs, and what there is to name."""
    for kind in ("method", "task", "model", "run"):
        names = list(getattr(wanted, kind))
        there = sorted({getattr(summary.identity, kind) for summary in summaries})
        if names and not set(names) & set(there):
            return f"No run has the {kind} {', '.join(names)}; there are {', '.join(there)}."
    return "No run fits all of --method, --task, --model and --run together; name fewer of them."
