"""Many `scorebench run` commands, a few at once, each in a process of its own.

What a run has done stands on disk (store.py, trainer.py), so nothing is kept here: whoever gives the same runs again
has only those done that are unfinished. No training and no run is ever in two processes at once: runs that share a
training follow each other, and every folder has its lock.
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

from scorebench import registry
from scorebench.files import disk_faults
from scorebench.grading.kernel import die_with_parent
from scorebench.progress import Progress, progress
from scorebench.session import Session, trains
from scorebench.settings import Settings
from scorebench.store import Run


@dataclass(frozen=True)
class Failure:
    """A run that did not come to its end. said: the last line of its output, which stands in `log`."""

    run: Settings
    said: str
    log: Path

    def __str__(self) -> str:
        return f"{title(self.run)}: {self.said} ({self.log})"


def title(run: Settings) -> str:
    """One run in words."""
    words = f"{run.method[0]} on {run.task[0]}, seed {run.seed}"
    return f"{words}, {run.samples} samples" if run.samples > 1 else words


def command(run: Settings) -> list[str]:
    """The command that makes the run."""
    words = [sys.executable, "-m", "scorebench", "run"]
    for name, value in run.model_dump(mode="json", exclude_defaults=True).items():
        values = value if name == "set" else [",".join(value) if isinstance(value, list) else str(value)]
        for text in values:
            words += [f"--{name.replace('_', '-')}", text]
    return words


def finished(run: Settings) -> Run | None:
    """The run on disk, if nothing is left to do for it."""
    return Session(run).complete(registry.find("method", run.method[0]), registry.find("task", run.task[0]))


def carry_out(runs: Sequence[Settings], jobs: int, logs: Path) -> list[Failure]:
    """Does what is unfinished, `jobs` processes at a time; returns those that failed. The others go on meanwhile.

    runs: of one method and one task each. logs: a folder for what they say.
    """
    missing = [run for run in runs if finished(run) is None]
    with progress("reproduce", len(runs), len(runs) - len(missing)) as tell:
        return asyncio.run(_carry_out(missing, jobs, logs, tell, len(runs)))


async def _carry_out(missing: Sequence[Settings], jobs: int, logs: Path, tell: Progress, total: int) -> list[Failure]:
    waiting = iter(lanes(missing))
    left = list(missing)
    took: list[tuple[Settings, float]] = []
    failures: list[Failure] = []

    async def work() -> None:
        for lane in waiting:
            for run in lane:
                start = time.monotonic()
                failure = await _process(run, logs)
                took.append((run, time.monotonic() - start))
                left.remove(run)
                failures.extend([failure] if failure else [])
                tell(total - len(left), _note(title(run), seconds_left(took, left, jobs), len(failures)))

    async with asyncio.TaskGroup() as crew:
        for _ in range(jobs):
            crew.create_task(work())
    return failures


def lanes(runs: Sequence[Settings]) -> list[list[Settings]]:
    """Runs that share a training, or would write the same folder, in one lane, to be done one after the other."""
    found: dict[tuple[object, ...], list[Settings]] = {}
    for run in runs:
        school = registry.find("task", run.task[0]).trained_on
        found.setdefault((run.method[0], school, run.seed, *run.set), []).append(run)
    return list(found.values())


async def _process(run: Settings, logs: Path) -> Failure | None:
    """One run in its process, which ends when this one does, however that is."""
    log = logs / f"{title(run).replace(', ', '-').replace(' ', '-')}.log"
    with disk_faults(log):
        logs.mkdir(parents=True, exist_ok=True)
        file = log.open("wb")
    with file:
        process = await asyncio.create_subprocess_exec(
            *command(run),
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
    return Failure(run, said[-1] if said and status > 0 else f"ended with status {status}", log)


def seconds_left(took: Sequence[tuple[Settings, float]], left: Sequence[Settings], jobs: int) -> float:
    """A guess at the time for what is left: each run as long as those like it took so far; nan before the first."""

    def likenesses(run: Settings) -> list[tuple[object, ...]]:
        """From close to far: the same method and task, as much training, any run."""
        return [(run.method, run.task, run.samples), (_trains(run.method[0]),), ()]

    def guess(run: Settings) -> float:
        for near, wanted in enumerate(likenesses(run)):
            alike = [seconds for other, seconds in took if likenesses(other)[near] == wanted]
            if alike:
                return sum(alike) / len(alike)
        return math.nan

    return sum(map(guess, left)) / min(jobs, max(len(left), 1))


@cache
def _trains(method: str) -> bool:
    return trains(registry.find("method", method))


def _note(last: str, seconds: float, failures: int) -> str:
    failed = f", {failures} failed" if failures else ""
    time_left = "" if math.isnan(seconds) else f", about {seconds / 60:.0f} min left"
    return f"{last}{failed}{time_left}"
