"""`scorebench reproduce`: the whole paper in the embedded world, and a page that says what came out of it.

Every method over several seeds, the scaling pools, the table beside the paper's, the verdict on its ten claims. All
of it stands on what `scorebench run --method M --task T --seed S` gives, with no other flags, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scorebench.errors import UserError

if TYPE_CHECKING:
    from scorebench.crew import Job
    from scorebench.report.reproduction import TaskResult
    from scorebench.report.summary import RunSummary
    from scorebench.trials import Trial

# The rows of the paper's tables, in its order: main table, then ablations.
METHODS = ("base", "self-refine", "pair-sft", "pair-sft+", "star", "star+", "score")
ABLATIONS = ("rl-single-turn", "rl-multi-turn", "score-no-stage1", "score-no-shaping")
ABLATIONS += ("score-star-stage2", "score-offline")
EXAMPLES = {"--tasks": "math", "--methods": "base,score"}
SEEDS = {"math": 5, "mbpp": 3, "humaneval": 3}

# The pools that sequential and parallel sampling are drawn from.
SCALED = ("base", "score")
BUDGETS = (2, 4, 8, 16, 32)  # the paper's, as its temperature is
POOL_TEMPERATURE = 0.7
POOL_PROBLEMS = 200


def reproduce(
    tasks: Annotated[str, typer.Option(help="Tasks: math,mbpp,humaneval.")] = ",".join(SEEDS),
    methods: Annotated[str, typer.Option(help="Methods; by default all of the paper's tables.")] = ",".join(
        METHODS + ABLATIONS
    ),
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Seeds of every run. Default 5 for math, 3 for the code tasks.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes at once, of one thread each.")] = 2,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N problems, to try it out.")] = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="Only choose learning rates: as many trials for every method.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder of runs and checkpoints.")] = Path("results"),
    to: Annotated[Path | None, typer.Option(help="Folder for the page. Default OUT/embedded.")] = None,
) -> None:
    """Run every method over seeds in the embedded world, and write the page that says what came out as in the paper.

    Killed at any moment, the same command goes on. Exit status 1 where a run failed; the page then lacks it.
    """
    from scorebench.crew import carry_out
    from scorebench.files import alone
    from scorebench.trials import trials

    names = _words(tasks, "--tasks"), _words(methods, "--methods")
    to = to or out / "embedded"
    attempts = trials(*names, out, limit) if tune else []
    work = [trial.job for trial in attempts]
    if not tune:
        work = [*table_jobs(*names, seeds, out, limit), *pool_jobs(*names, out, limit)]
    with alone(out, "reproducing in"):
        failures = carry_out(work, jobs, out / "logs")
        if tune:
            _record(attempts, to, limit)
        else:
            _write(to, work, _command(tasks, methods, seeds, limit), limit)
    for failure in failures:
        typer.echo(f"failed: {failure}", err=True)
    if failures:
        typer.echo(f"{len(failures)} of {len(work)} runs failed; the same command tries them again.", err=True)
        raise typer.Exit(1)


def table_jobs(
    tasks: Sequence[str], methods: Sequence[str], seeds: int | None, out: Path, limit: int | None
) -> list[Job]:
    """The runs behind the table, a seed of everything before the next seed."""
    from scorebench.crew import Job
    from scorebench.settings import Settings

    counts = {task: seeds or SEEDS.get(task, 3) for task in tasks}
    return [
        Job(Settings(method=[method], task=[task], seed=seed, out=out, limit=limit))
        for seed in range(max(counts.values()))
        for task in tasks
        for method in methods
        if seed < counts[task]
    ]


def pool_jobs(tasks: Sequence[str], methods: Sequence[str], out: Path, limit: int | None) -> list[Job]:
    """The pools of sampled dialogues behind the scaling curves, by the first seed's models."""
    from scorebench.crew import Job
    from scorebench.settings import Settings

    shown = min(limit or POOL_PROBLEMS, POOL_PROBLEMS)
    sampled = {"samples": max(BUDGETS), "temperature": POOL_TEMPERATURE, "limit": shown}
    return [
        Job(Settings(method=[method], task=[task], out=out, **sampled), pool=True)
        for task in tasks
        for method in SCALED
        if method in methods
    ]


def _write(to: Path, work: Sequence[Job], command: str, limit: int | None) -> None:
    """The page of what is there, and its verdicts on the terminal."""
    from scorebench.report.reproduction import write_page

    tasks = dict.fromkeys(job.task for job in work)
    found = [task_result(task, [job for job in work if job.task == task]) for task in tasks]
    found = [result for result in found if result.runs]
    if not found:
        raise UserError("No run came to its end, so there is nothing to write; see the logs in OUT/logs.")
    page = write_page(to, found, command, limit)
    for result in found:
        for claim in result.claims:
            typer.echo(f"{result.task}: {claim.number}. {claim.statement}: {claim.outcome}")
    typer.echo(f"The page: {page}")


def _record(attempts: Sequence[Trial], to: Path, limit: int | None) -> None:
    """The trials and the choice, on disk and on the terminal."""
    from scorebench.trials import judged, record

    results = judged(attempts)
    for (task, method), value in record(results, to, trying=limit is not None).items():
        figures = ", ".join(
            f"x {v:g}: {100 * run.five()['acc_t2'].value:.1f}" for v, run in results[task, method].items()
        )
        typer.echo(f"{method} on {task}: learning rates x {value:g} (Acc@t2 on validation {figures})")
    for task, method in dict.fromkeys(trial.key for trial in attempts):
        if (task, method) not in results:
            typer.echo(f"{method} on {task}: not chosen, as not all of its trials came to their end", err=True)


def task_result(task: str, work: Sequence[Job]) -> TaskResult:
    """What the jobs of one task have left on disk."""
    from scorebench.curves import stored_curves
    from scorebench.report.reproduction import TaskResult
    from scorebench.report.summary import summarize

    out = work[0].settings.out
    done = {number: run for number, job in enumerate(work) if (run := job.finished())}
    runs = [run for number, run in done.items() if not work[number].pool]
    pools = [str(run.folder) for number, run in done.items() if work[number].pool]
    trained = [run.identity["training"]["name"] for run in runs if run.identity["method"]["name"] == "score"]
    return TaskResult(
        task,
        _by_method([summarize(run.meta(), list(run.rows().values()), run.name) for run in runs]),
        stored_curves(out, pools, BUDGETS, None),
        out / "checkpoints" / trained[0] if trained else None,
        [str(job) for number, job in enumerate(work) if number not in done],
    )


def _by_method(summaries: Sequence[RunSummary]) -> list[RunSummary]:
    """In the order of METHODS and ABLATIONS, others behind, seeds together."""
    order = [*METHODS, *ABLATIONS, *(summary.identity.method for summary in summaries)]
    return sorted(summaries, key=lambda summary: order.index(summary.identity.method))


def _command(tasks: str, methods: str, seeds: int | None, limit: int | None) -> str:
    """What a user types to make this page again."""
    flags = {"tasks": tasks, "methods": methods, "seeds": seeds, "limit": limit}
    plain = {"tasks": ",".join(SEEDS), "methods": ",".join(METHODS + ABLATIONS), "seeds": None, "limit": None}
    return " ".join(
        ["scorebench reproduce", *(f"--{name} {flags[name]}" for name in flags if flags[name] != plain[name])]
    )


def _words(text: str, flag: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise UserError(f"{flag} names nothing; leave it out for all, or give names such as {flag} {EXAMPLES[flag]}.")
    return words
