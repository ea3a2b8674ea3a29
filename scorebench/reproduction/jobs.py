"""Many `scorebench run` commands, a few at once, each in a process of its own.

Runs and trainings store their state on disk (storage/runs.py, training/trainer.py), so this module stores nothing: when
the same jobs are given again, only unfinished ones are done. No training and no run is in two processes at once: jobs
that share a training are done one after the other, and every folder has a lock.
"""

from __future__ import annotations

import asyncio
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from scorebench.api import registry
from scorebench.api.progress import Progress, progress
from scorebench.api.protocols import Task, trains
from scorebench.evaluation.session import Session
from scorebench.evaluation.settings import Settings
from scorebench.evaluation.tasks import task_of
from scorebench.grading.sandbox.linux import die_with_parent
from scorebench.storage.files import disk_faults
from scorebench.storage.runs import Run, digest, find_pool, read_json, run_of
from scorebench.training.trainer import RECORD


@dataclass(frozen=True)
class Job:
    """One method on one task with one seed: `scorebench run`, or `scorebench scaling` where a pool is wanted.

    note: what tells it from others of the same method, task and seed. recipe, checkpoint: of a job that is
    `scorebench train --config RECIPE --out CHECKPOINT` and has no run; its settings are the recipe's.
    """

    settings: Settings
    pool: bool = False
    note: str = ""
    recipe: Path | None = None
    checkpoint: Path | None = None

    @property
    def method(self) -> str:
        return self.settings.method[0]

    @property
    def task(self) -> str:
        return self.settings.task[0]

    def __str__(self) -> str:
        notes = [f"{self.method} on {self.task}", f"seed {self.settings.seed}", "pool" if self.pool else "", self.note]
        return ", ".join(filter(None, notes))

    @property
    def command(self) -> list[str]:
        """What a user would type."""
        begin = [sys.executable, "-m", "scorebench"]
        if self.checkpoint is not None:
            folders = ["--results", str(self.settings.out), "--out", str(self.checkpoint)]
            return [*begin, "train", "--config", str(self.recipe), *folders]
        words = [*begin, "scaling" if self.pool else "run"]
        for name, value in self.settings.model_dump(mode="json", exclude_defaults=True).items():
            for text in value if name in ("set", "stop") else [_said(value)]:
                words += [f"--{name.replace('_', '-')}", text]
        return words

    def is_done(self) -> bool:
        """Whether nothing is left to do for it."""
        if self.checkpoint is None:
            return self.finished() is not None
        training = self._session.training(self._found_method, self._found_task)
        record = self.checkpoint / RECORD
        return record.is_file() and digest(read_json(record)["identity"]) == digest(training.identity)

    def finished(self) -> Run | None:
        """The run on disk, if nothing is left to do for it."""
        return self._session.complete(self._found_method, self._found_task, find_pool if self.pool else run_of)

    @property
    def _session(self) -> Session:
        return Session(self.settings)

    @property
    def _found_method(self) -> Any:
        return registry.find("method", self.method)

    @property
    def _found_task(self) -> Task:
        return task_of(self.task, self.settings.task_args, self.settings.reading)


def _said(value: Any) -> str:
    """A value as its flag takes it."""
    if isinstance(value, dict):
        return ",".join(f"{name}={one}" for name, one in value.items())
    return ",".join(value) if isinstance(value, list) else str(value)


@dataclass(frozen=True)
class Failure:
    """A job that failed. said: the last line of its output. log: the file with all of its output."""

    job: Job
    said: str
    log: Path

    def __str__(self) -> str:
        return f"{self.job}: {self.said} ({self.log})"


def carry_out(jobs: Sequence[Job], at_once: int, logs: Path) -> list[Failure]:
    """Does the unfinished jobs, `at_once` processes at a time, and returns those that failed. A failure stops no other.

    logs: a folder for what the processes say.
    """
    missing = [job for job in jobs if not job.is_done()]
    with progress("reproduce", len(jobs), len(jobs) - len(missing)) as tell:
        return asyncio.run(_carry_out(missing, at_once, logs, tell, len(jobs)))


async def _carry_out(missing: Sequence[Job], at_once: int, logs: Path, tell: Progress, total: int) -> list[Failure]:
    waiting = iter(lanes(missing))
    left = list(missing)
    took: list[tuple[Job, float]] = []
    failures: list[Failure] = []

    async def work() -> None:
        for lane in waiting:
            for job in lane:
                start = time.monotonic()
                failure = await _process(job, logs)
                took.append((job, time.monotonic() - start))
                left.remove(job)
                failures.extend([failure] if failure else [])
                tell(total - len(left), _note(job, seconds_left(took, left, at_once), len(failures)))

    async with asyncio.TaskGroup() as crew:
        for _ in range(at_once):
            crew.create_task(work())
    return failures


def lanes(jobs: Sequence[Job]) -> list[list[Job]]:
    """The jobs in groups. Jobs of one group share a training and are done one after the other."""
    found: dict[tuple[object, ...], list[Job]] = {}
    for job in jobs:
        school = registry.find("task", job.task).trained_on
        found.setdefault((job.method, school, job.settings.seed, *job.settings.set), []).append(job)
    return list(found.values())


async def _process(job: Job, logs: Path) -> Failure | None:
    """Runs one job in a process of its own. That process ends when this one ends, even if this one is killed."""
    log = logs / f"{str(job).replace(', ', '-').replace(' ', '-')}.log"
    with disk_faults(log):
        logs.mkdir(parents=True, exist_ok=True)
        file = log.open("wb")
    with file:
        process = await asyncio.create_subprocess_exec(
            *job.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            preexec_fn=die_with_parent,
        )
    try:
        status = await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    if status == 0:
        return None
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return Failure(job, said[-1] if said and status > 0 else f"ended with status {status}", log)


def seconds_left(took: Sequence[tuple[Job, float]], left: Sequence[Job], at_once: int) -> float:
    """A guess at the time for what is left: each job as long as those like it took so far; nan before the first."""

    def likenesses(job: Job) -> list[tuple[object, ...]]:
        """From close to far: the same method and task, as much training, any job."""
        return [(job.method, job.task, job.pool), (_trains(job.method), job.pool), ()]

    def guess(job: Job) -> float:
        for near, wanted in enumerate(likenesses(job)):
            alike = [seconds for other, seconds in took if likenesses(other)[near] == wanted]
            if alike:
                return sum(alike) / len(alike)
        return math.nan

    return sum(map(guess, left)) / min(at_once, max(len(left), 1))


@cache
def _trains(method: str) -> bool:
    return trains(registry.find("method", method))


def _note(last: Job, seconds: float, failures: int) -> str:
    failed = f", {failures} failed" if failures else ""
    time_left = "" if math.isnan(seconds) else f", about {seconds / 60:.0f} min left"
    return f"{last}{failed}{time_left}"
