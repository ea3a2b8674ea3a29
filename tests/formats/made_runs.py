"""Finished runs for tests of exports: two turns with a review between them, two samples, some right and some wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scorebench.api.protocols import Source, Task
from scorebench.api.types import Attempt, Episode, Problem, Reply
from scorebench.evaluation.tasks import task_of
from scorebench.storage.rows import as_row, write_rows
from scorebench.storage.runs import Run, open_run

EMBEDDED = Source("embedded")
REVIEW = "The solution above looks wrong to me."


def made_run(root: Path, name: str, problems: int = 3) -> Run:
    """A run on embedded problems. Sample s of problem p is right at turn 1 if p + s is even, at turn 2 if p < 2."""
    task = task_of(name)
    chosen = task.load("test", EMBEDDED).problems[:problems]
    identity: dict[str, Any] = {
        "task": {"name": name, "version": task.version},
        "data": "embedded",
        "split": "test",
        "method": {"name": "self-refine"},
        "model": {"name": "some/model"},
        "engine": "hf",
        "sampling": {"temperature": 0.7, "top_p": 1.0, "max_tokens": 256},
        "seed": 0,
        "problems": {"count": problems},
        "turns": 2,
        "samples": 2,
    }
    run = open_run(root, identity, [problem.id for problem in chosen])
    episodes = [_episode(task, chosen[p], s, (p + s) % 2 == 0, p < 2) for p in range(problems) for s in (0, 1)]
    write_rows(run.folder / "episodes.jsonl", [as_row(e) | {"elapsed": 1.0} for e in episodes])
    return run


def _episode(task: Task, problem: Problem, sample: int, *right: bool) -> Episode:
    attempts = tuple(_attempt(task, problem, good, f"Sample {sample}.") for good in right)
    transcript: Any = [{"role": "user", "content": task.first_prompt(problem)[0]["content"]}]
    transcript += [{"role": "assistant", "content": attempts[0].reply.text}]
    transcript += [{"role": "user", "content": "Review it."}, {"role": "assistant", "content": REVIEW}]
    transcript += [{"role": "user", "content": "Improve it."}]
    transcript += [{"role": "assistant", "content": attempts[1].reply.text}]
    return Episode(problem.id, sample, attempts, tuple(transcript), problem.tags, 1.5)


def _attempt(task: Task, problem: Problem, right: bool, said: str) -> Attempt:
    text = task.gold(problem) if right else next(iter(task.trivial(problem).values()))  # type: ignore[attr-defined]
    text = f"{said}\n```python\n{text}\n```" if task.world == "code" else f"{said} {text}"
    return Attempt(Reply(text, tokens=3), task.grade(problem, text))
