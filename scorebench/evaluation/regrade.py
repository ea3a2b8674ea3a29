"""Today's verdicts on the replies of a stored run: `scorebench regrade`. No model takes part.

The run keeps its name: what it is, its replies and their problems, has not changed. What its verdicts were before stays
beside it as episodes.jsonl.before, from the first time on. run.json says when it was regraded and by which version of
the task.
"""

from __future__ import annotations

import difflib
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scorebench.api.errors import UserError
from scorebench.api.protocols import Source, Task
from scorebench.api.types import Problem, Verdict
from scorebench.evaluation.grade_file import grade_episodes
from scorebench.evaluation.identity import problems_identity
from scorebench.evaluation.settings import settings_from
from scorebench.evaluation.tasks import task_in
from scorebench.storage.files import write_json
from scorebench.storage.runs import Run, read_json, stored_run


@dataclass(frozen=True)
class Change:
    """A verdict that is another one now. turn counts from 1."""

    problem: str
    sample: int
    turn: int
    before: Verdict
    now: Verdict

    def __str__(self) -> str:
        said = f"{self.now.rule}: {self.now.detail:.200}".rstrip(": ")
        place = f"{self.problem}, sample {self.sample}, turn {self.turn}"
        return f"{place}: {self.before.outcome} -> {self.now.outcome} ({said})"


@dataclass(frozen=True)
class Regraded:
    """What became of a run. attempts: all of them; kept: those that could not be graded and keep their old verdict."""

    attempts: int
    changes: list[Change]
    kept: int


def find_run(out: Path, name: str) -> Run:
    """The run in a folder, or of a name under out; UserError if there is none."""
    for folder in (Path(name), out / "runs" / name):
        if (folder / "run.json").is_file():
            return stored_run(folder)
    known = [path.parent.name for path in (out / "runs").glob("*/run.json")]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]}?" if close else "name a run's folder, or the --out it was written to."
    raise UserError(f"There is no run {name!r} in {out / 'runs'}; {hint}")


def regrade(run: Run, data: Path | None = None) -> Regraded:
    """Grades every attempt of a run anew and writes the rows in one step.

    data: the folder of the benchmark's files, if it is no longer where the run found it. An attempt that the harness
    cannot grade today keeps the verdict it had.

    Raises UserError where the run has no rows, or the task's problems are not those that it was made on.
    """
    task = task_in(run.identity)
    problems = problems_of(run, task, data)
    with run.writing():  # nobody else appends meanwhile; what it opens is replaced below
        stored = [row for row in run.stored().read if row.episode.problem_id in problems]
        if not stored:
            raise UserError(
                f"{run.folder} has no episodes to regrade; play it first, with its `scorebench run` command."
            )
        rows, before = [row.values for row in stored], [row.episode for row in stored]
        now = grade_episodes(task, [(problems[episode.problem_id], episode) for episode in before])
        changes: list[Change] = []
        kept = 0
        for row, old, new in zip(rows, before, now, strict=True):
            for turn, (was, found) in enumerate(zip(old.attempts, new.attempts, strict=True), start=1):
                if found.verdict.outcome == "error" != was.verdict.outcome:
                    kept += 1
                    continue
                row["attempts"][turn - 1]["verdict"] = asdict(found.verdict)
                if found.verdict.outcome != was.verdict.outcome:
                    changes.append(Change(old.problem_id, old.sample, turn, was.verdict, found.verdict))
        _write(run, rows)
        _record(run, task, len(changes))
    return Regraded(sum(len(episode.attempts) for episode in before), changes, kept)


def problems_of(run: Run, task: Task, data: Path | None = None) -> dict[str, Problem]:
    """The problems of a stored run by id; UserError where they are not what they were."""
    loaded = task.load(run.identity["split"], _source(run, data))
    expected = run.identity["problems"]
    problems = loaded.problems[: expected["count"]]
    if loaded.data != run.identity["data"]:
        raise UserError(
            f"{run.name} was made on the data {run.identity['data']}, and this is {loaded.data}: "
            "name the folder it was made on with --data."
        )
    if problems_identity(task, problems) != expected:
        raise UserError(
            f"The problems of {run.name} or their prompts have changed since it was played, so its replies answer "
            "other questions: play it again with its `scorebench run` command."
        )
    return {problem.id: problem for problem in problems}


def _source(run: Run, data: Path | None) -> Source:
    label = run.identity["data"]
    if data or label.startswith("folder:"):
        return Source("folder", data or settings_from({}, run.folder / "run.yaml").data)
    return Source("embedded" if label == "embedded" else "hub")


def _write(run: Run, rows: list[dict[str, Any]]) -> None:
    if not (run.folder / "episodes.jsonl.before").exists():
        run.keep_as("before")
    run.replace_rows(rows)


def _record(run: Run, task: Task, changed: int) -> None:
    path = run.folder / "run.json"
    read = read_json(path)
    when = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    read.setdefault("about", {})["regraded"] = {"at": when, "task_version": task.version, "verdicts_changed": changed}
    write_json(path, read)
