"""Reads the runs that the page and the plots show, with their rows. What cannot be read is named; the rest is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scorebench.api.errors import UserError
from scorebench.api.progress import progress
from scorebench.report.summary import RunSummary, summarize
from scorebench.storage.runs import Run, stored_run

Key = tuple[str, int]  # problem and sample


@dataclass(frozen=True)
class StoredRun:
    """A run that was read. rows: its episodes as plain data; of an episode that was played again, the last row."""

    run: Run
    rows: Mapping[Key, Mapping[str, Any]]
    summary: RunSummary


@dataclass(frozen=True)
class Stored:
    """What lies in a folder of results. complaints: a sentence for each run that is left out, or that lacks rows."""

    runs: list[StoredRun] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def summaries(self) -> Sequence[RunSummary]:
        return [stored.summary for stored in self.runs]


def read_stored(out: Path) -> Stored:
    """All runs on test problems under `out` that have episodes. UserError where there is none."""
    stored = Stored()
    folders = sorted(path.parent for path in (out / "runs").glob("*/run.json"))
    with progress("read runs", len(folders)) as tell:
        for done, folder in enumerate(folders, start=1):
            try:
                _read(folder, stored)
            except UserError as fault:
                stored.complaints.append(f"{folder.name} is left out: {fault}")
            tell(done)
    if not stored.runs and not stored.complaints:
        raise UserError(f"There are no runs in {out / 'runs'}; make one with `scorebench run`, or name another --out.")
    if not stored.runs:
        raise UserError(f"No run in {out / 'runs'} can be read. {stored.complaints[0]}")
    return stored


def _read(folder: Path, stored: Stored) -> None:
    """Adds a run to those that were read, unless it has no episode or is not on test problems."""
    run = stored_run(folder)
    if run.identity["split"] != "test":
        return
    found = run.stored()
    if found.faults:
        stored.complaints.append(f"{run.name}, lines left out: {len(found.faults):,}. The first: {found.faults[0]}.")
    latest = {(row.episode.problem_id, row.episode.sample): row for row in found.read}
    if latest:
        summary = summarize(run.meta(), [row.episode for row in latest.values()], run.name)
        stored.runs.append(StoredRun(run, {key: row.values for key, row in latest.items()}, summary))
