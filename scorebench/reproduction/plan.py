"""What `scorebench reproduce` runs: every method over several seeds, and the pools of the scaling curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scorebench.api import registry
from scorebench.api.protocols import trains
from scorebench.evaluation.sample_pools import stored
from scorebench.evaluation.settings import Settings
from scorebench.report.scaling_curves import curve_of
from scorebench.report.summary import RunSummary, summarize
from scorebench.reproduction import (
    ABLATIONS,
    BUDGETS,
    METHODS,
    POOL_PROBLEMS,
    POOL_TEMPERATURE,
    SCALED,
    SEEDS,
    VARIANTS,
    VARIED_ON,
)
from scorebench.reproduction.jobs import Job
from scorebench.reproduction.page import TaskResult
from scorebench.storage.runs import Run


def table_jobs(
    tasks: Sequence[str], methods: Sequence[str], seeds: int | None, out: Path, limit: int | None
) -> list[Job]:
    """The runs of the table, in the order of seeds: first all runs of seed 0, then all of seed 1, and so on.

    Those of VARIANTS come last, on the tasks of VARIED_ON. A method that does not train has one run: its replies are
    greedy.
    """
    plain = [(method, []) for method in methods]
    changed = [(method, [setting]) for method, setting in VARIANTS if method in methods]
    varied = [task for task in tasks if task in VARIED_ON]
    return [
        *_by_seed(tasks, plain, seeds, out, limit),
        *_by_seed(varied, changed, seeds, out, limit),
    ]


def _by_seed(
    tasks: Sequence[str], settings: Sequence[tuple[str, list[str]]], seeds: int | None, out: Path, limit: int | None
) -> list[Job]:
    counts = {task: seeds or SEEDS.get(task, 3) for task in tasks}
    return [
        Job(
            Settings(method=[method], task=[task], seed=seed, set=changed, out=out, limit=limit), note=" ".join(changed)
        )
        for seed in range(max(counts.values(), default=0))
        for task in tasks
        for method, changed in settings
        if seed < (counts[task] if trains(registry.find("method", method)) else 1)
    ]


def pool_jobs(tasks: Sequence[str], methods: Sequence[str], out: Path, limit: int | None) -> list[Job]:
    """The pools of sampled dialogues behind the scaling curves, by the first seed's models."""
    shown = min(limit or POOL_PROBLEMS, POOL_PROBLEMS)
    sampled = {"samples": max(BUDGETS), "temperature": POOL_TEMPERATURE, "limit": shown}
    return [
        Job(Settings(method=[method], task=[task], out=out, **sampled), pool=True)
        for task in tasks
        for method in SCALED
        if method in methods
    ]


def task_result(task: str, work: Sequence[Job]) -> TaskResult:
    """What the jobs of one task have left on disk."""
    out = work[0].settings.out
    done = {number: run for number, job in enumerate(work) if (run := job.finished())}
    runs = [run for number, run in done.items() if not work[number].pool and not work[number].settings.set]
    changed = [run for number, run in done.items() if work[number].settings.set]
    pools = [str(run.folder) for number, run in done.items() if work[number].pool]
    trained = [run.identity["training"]["name"] for run in runs if run.identity["method"]["name"] == "score"]
    return TaskResult(
        task,
        _by_method([_summary(run) for run in runs]),
        [curve_of(samples, BUDGETS) for samples in stored(out, pools, BUDGETS)],
        out / "checkpoints" / trained[0] if trained else None,
        [str(job) for number, job in enumerate(work) if number not in done],
        [_summary(run) for run in changed],
    )


def _summary(run: Run) -> RunSummary:
    return summarize(run.meta(), list(run.rows().values()), run.name)


def _by_method(summaries: Sequence[RunSummary]) -> list[RunSummary]:
    """In the order of METHODS and ABLATIONS, others behind, seeds together."""
    order = [*METHODS, *ABLATIONS, *(summary.identity.method for summary in summaries)]
    return sorted(summaries, key=lambda summary: order.index(summary.identity.method))
