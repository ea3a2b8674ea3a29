"""Reads the stored runs that the page and the plots show. A damaged run is named and left out; the others are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scorebench.api.errors import UserError
from scorebench.api.progress import progress
from scorebench.report.summary import RunSummary, summarize
from scorebench.storage.runs import Run, as_episode, read_json

DAMAGE = (UserError, KeyError, IndexError, TypeError, AttributeError, ValueError)  # what a foreign file can raise
Key = tuple[str, int]  # problem and sample


@dataclass(frozen=True)
class StoredRun:
    """A run that was read. rows: its episodes as plain data; of an episode that was played again, the last row."""

    run: Run
    rows: Mapping[Key, Mapping[str, Any]]
    summary: RunSummary


@dataclass(frozen=True)
class Stored:
    """What lies in a folder of results. complaints: a sentence for each run that is left out."""

    runs: Sequence[StoredRun]
    complaints: list[str] = field(default_factory=list)

    @property
    def summaries(self) -> list[RunSummary]:
        return [stored.summary for stored in self.runs]


def read_stored(out: Path) -> Stored:
    """All runs on test problems under `out` that have episodes. UserError where there is none."""
    runs: list[StoredRun] = []
    complaints: list[str] = []
    files = sorted((out / "runs").glob("*/run.json"))
    with progress("read runs", len(files)) as tell:
        for done, file in enumerate(files, start=1):
            try:
                runs += _read(file)
            except DAMAGE as fault:
                complaints.append(f"{file.parent.name} is left out: {_reason(fault)}")
            tell(done)
    if not runs and not complaints:
        raise UserError(f"There are no runs in {out / 'runs'}; make one with `scorebench run`, or name another --out.")
    if not runs:
        raise UserError(f"No run in {out / 'runs'} can be read. {complaints[0]}")
    return Stored(runs, complaints)


def _read(file: Path) -> list[StoredRun]:
    """The run of a run.json, in a list; an empty list where it has no episode, or is not on test problems."""
    run = Run(file.parent, read_json(file)["identity"])
    if run.identity["split"] != "test":
        return []
    _check_names(run.identity)
    rows = {(row["problem"], row["sample"]): row for row in run.lines()}
    if not rows:
        return []
    episodes = [as_episode(row) for row in rows.values()]
    return [StoredRun(run, rows, summarize(run.meta(), episodes, run.name))]


def _check_names(identity: Mapping[str, Any]) -> None:
    names = [identity["task"]["name"], identity["data"], identity["method"]["name"], (identity["model"] or {})["name"]]
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise UserError(f"its run.json has {wrong[0]!r:.40} where a name should be.")


def _reason(fault: Exception) -> str:
    return str(fault) if isinstance(fault, UserError) else f"its files do not have the shape of a run ({fault!r:.120})."
