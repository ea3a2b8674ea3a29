"""Pools of sampled dialogues for scaling curves: sampled now, or taken from stored runs.

A pool is a run of many samples at a temperature. Made for this purpose it lies in OUT/pools, so that tables of results
do not show it; any stored run that holds enough samples serves as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scorebench.api.errors import UserError
from scorebench.api.progress import progress
from scorebench.api.protocols import Task
from scorebench.api.types import Episode, Problem
from scorebench.dialogue.player import graders
from scorebench.evaluation.regrade import find_run, problems_of
from scorebench.evaluation.session import Session
from scorebench.evaluation.settings import Settings
from scorebench.evaluation.tasks import task_in, task_of
from scorebench.statistics.majority_vote import SamplePool, check_budgets, pools
from scorebench.storage.runs import Run, open_pool

TEMPERATURE = 0.7  # the paper's, for sampling at inference time


@dataclass(frozen=True)
class Samples:
    """The dialogues of one run. meta: the content of its run.json."""

    run: Run
    meta: dict[str, Any]
    episodes: Sequence[Episode]


def budgets_of(text: str) -> list[int]:
    """The budgets of --budgets, in order; UserError where one is no even number from 2."""
    try:
        budgets = sorted({int(word) for word in text.split(",") if word.strip()})
    except ValueError:
        raise UserError(f"--budgets {text!r} are not numbers; write them as in --budgets 2,4,8.") from None
    check_budgets(budgets)
    return budgets


def sample(settings: Settings, budgets: Sequence[int]) -> list[Samples]:
    """Samples every method on every task, or goes on where an earlier command stopped."""
    given = settings.model_fields_set
    temperature = settings.temperature if "temperature" in given else TEMPERATURE
    samples = settings.samples if "samples" in given else max(budgets)
    if temperature == 0:
        raise UserError("At --temperature 0 all samples of a problem are the same; leave the flag out for 0.7.")
    if samples < max(budgets):
        raise UserError(
            f"The budget {max(budgets)} needs {max(budgets)} dialogues on each problem, and --samples is {samples}; "
            "leave --samples out, or give smaller --budgets."
        )
    if settings.turns < 2:
        raise UserError("Scaling compares attempts with corrections, and needs --turns of at least 2.")
    settings = settings.model_copy(update={"temperature": temperature, "samples": samples})
    session = Session(settings, open=open_pool)
    for name in settings.task:
        _check_given(
            name, task_of(name, settings.task_args, settings.reading).load(settings.split, session.source).problems
        )
    runs = session.run()
    if session.owed:
        raise UserError(
            f"{session.owed} dialogues ended in an error, so problems would have unequal numbers of samples; "
            "give the same command again to play them."
        )
    return [Samples(_pool_run(settings.out, meta["run"]), meta, episodes) for meta, episodes in runs]


def _pool_run(out: Path, name: str) -> Run:
    """A run that was just opened, as a pool or as a run."""
    pool = out / "pools" / name
    return find_run(out, str(pool) if pool.is_dir() else name)


def stored(out: Path, names: Iterable[str], budgets: Sequence[int]) -> list[Samples]:
    """The samples of stored runs; no model takes part. UserError where a run has too few."""
    runs = [_pool_run(out, name) for name in names]
    for run in runs:
        if run.identity["samples"] < max(budgets) or run.identity["sampling"]["temperature"] == 0:
            raise UserError(
                f"The budget {max(budgets)} needs {max(budgets)} sampled dialogues on each problem, and {run.name} has "
                f"{run.identity['samples']} at temperature {run.identity['sampling']['temperature']:g}; give smaller "
                "--budgets, or --method and --task in place of --run to sample them."
            )
    return [Samples(run, run.meta(), list(run.rows().values())) for run in runs]


def pools_of(samples: Samples, data: Path | None = None) -> list[SamplePool]:
    """One pool a problem, with the votes of its attempts.

    data: the folder of the benchmark's files, if it is no longer where the run found it. Raises UserError where a
    problem has no dialogue.
    """
    run, episodes = samples.run, samples.episodes
    task = task_in(run.identity)
    problems = problems_of(run, task, data)
    _check_given(task.name, problems.values())
    absent = problems.keys() - {episode.problem_id for episode in episodes}
    if absent:
        raise UserError(
            f"{run.name} has no dialogue on {len(absent)} of its {len(problems)} problems; give its "
            "command again to finish it."
        )
    order = {problem_id: number for number, problem_id in enumerate(problems)}
    episodes = sorted(episodes, key=lambda e: (order[e.problem_id], e.sample))  # the draws depend on the order
    keys = vote_keys(task, problems, episodes)
    return pools(episodes, lambda problem_id, text: keys[problem_id, text])


def _check_given(name: str, problems: Iterable[Problem]) -> None:
    if any(problem.given is not None for problem in problems):
        raise UserError(
            f"The first attempts of {name} are given, so there is nothing to sample in parallel; take another task."
        )


def vote_keys(
    task: Task, problems: dict[str, Problem], episodes: Iterable[Episode]
) -> dict[tuple[str, str], str | None]:
    """The key of every different reply to a problem, by problem and text; each is asked for once."""
    said = dict.fromkeys((e.problem_id, attempt.reply.text) for e in episodes for attempt in e.attempts[:2])
    with graders() as threads, progress(f"vote keys of {task.name}", len(said)) as tell:
        asked = {threads.submit(task.vote_key, problems[problem], text): (problem, text) for problem, text in said}
        keys = {}
        for done, future in enumerate(as_completed(asked), start=1):
            keys[asked[future]] = future.result()
            tell(done)
    return keys
