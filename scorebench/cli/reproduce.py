"""`scorebench reproduce`: the whole paper in the embedded world, and a page that says what came out of it.

Every method over several seeds, the scaling pools, the table beside the paper's, the verdict on its ten claims. All
of it stands on what `scorebench run --method M --task T --seed S` gives, with no other flags, and nothing else.

With --plan FILE it does the runs of that file instead, of a real model, and writes their page.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scorebench.api.errors import UserError
from scorebench.reproduction import ABLATIONS, METHODS, SEEDS

if TYPE_CHECKING:
    from scorebench.reproduction.jobs import Failure, Job
    from scorebench.reproduction.lr_sweep import Trial

EXAMPLES = {"--tasks": "math", "--methods": "base,score"}


def reproduce(
    tasks: Annotated[str, typer.Option(help="Tasks: math,mbpp,humaneval.")] = ",".join(SEEDS),
    methods: Annotated[str, typer.Option(help="Methods; by default all of the paper's tables.")] = ",".join(
        METHODS + ABLATIONS
    ),
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Seeds of every run. Default 5 for math, 3 for the code tasks.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="How many processes run at a time; each has one thread.")] = 2,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N problems, to try it out.")] = None,
    tune: Annotated[
        bool,
        typer.Option("--tune", help="Only choose learning rates, with the same number of trials for every method."),
    ] = False,
    plan: Annotated[
        Path | None,
        typer.Option(help="A file of runs of a real model, such as results/smollm2/plan.yaml; its page instead."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="With --plan: folder with the benchmarks' files. Default: the hub.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of runs and checkpoints.")] = Path("results"),
    to: Annotated[
        Path | None, typer.Option(help="Folder for the page. Default OUT/embedded, or the folder of the plan.")
    ] = None,
) -> None:
    """Run every method over seeds in the embedded world, and write the page that says what came out as in the paper.

    Killed at any moment, the same command goes on. Exit status 1 where a run failed; the page then lacks it.
    """
    if plan is not None:
        if tune or seeds or tasks != ",".join(SEEDS) or methods != ",".join(METHODS + ABLATIONS):
            raise UserError("--plan says what is run; leave --tasks, --methods, --seeds and --tune out.")
        _carry_out_plan(plan, data, jobs, limit, out, to or plan.parent)
        return
    if data is not None:
        raise UserError("--data goes with --plan: without one the problems are embedded.")
    from scorebench.reproduction.jobs import carry_out
    from scorebench.reproduction.lr_sweep import trials
    from scorebench.reproduction.plan import pool_jobs, table_jobs
    from scorebench.storage.files import alone

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
    _end(failures)


def _carry_out_plan(plan: Path, data: Path | None, at_once: int, limit: int | None, out: Path, to: Path) -> None:
    """Does a plan's trainings and runs, and writes its page: of what is there before, and again after each section."""
    from scorebench.reproduction.jobs import carry_out
    from scorebench.reproduction.plan_file import read_plan, run_jobs, training_jobs
    from scorebench.reproduction.plan_page import section_result, write_plan_page
    from scorebench.storage.files import alone

    read = read_plan(plan)
    given = [word for name, value in (("data", data), ("limit", limit)) if value for word in (f"--{name}", str(value))]
    command = " ".join(["scorebench reproduce --plan", str(plan), *given])
    failures: list[Failure] = []

    def write() -> None:
        results = []
        for section in read.sections:
            warmups = training_jobs(section, out)
            ready = all(job.is_done() for job in warmups)
            runs = run_jobs(read, section, out, data, limit) if ready else []
            results.append(section_result(section, warmups, runs))
        if any(result.runs for result in results):
            typer.echo(f"The page: {write_plan_page(to, read, results, command)}")

    with alone(out, "reproducing in"):
        write()
        for section in read.sections:
            failed = [fault for job in training_jobs(section, out) for fault in carry_out([job], 1, out / "logs")]
            if not failed:
                runs = run_jobs(read, section, out, data, limit)
                failed = carry_out([job for job, _ in runs], at_once, out / "logs")
            failures += failed
            write()
    _end(failures)


def _end(failures: Sequence[Failure]) -> None:
    """Names what failed; exit status 1 where something did."""
    for failure in failures:
        typer.echo(f"failed: {failure}", err=True)
    if failures:
        typer.echo(f"{len(failures)} runs failed; the same command tries them again.", err=True)
        raise typer.Exit(1)


def _write(to: Path, work: Sequence[Job], command: str, limit: int | None) -> None:
    """The page of what is there, and its verdicts on the terminal."""
    from scorebench.reproduction.page import write_page
    from scorebench.reproduction.plan import task_result

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
    from scorebench.api.percent import percent
    from scorebench.reproduction.lr_sweep import judged, record, shared_reward

    results = judged(attempts)
    for (task, method), value in record(results, to, trying=limit is not None).items():
        figures = ", ".join(f"x {v:g}: {percent(shared_reward(run))}" for v, run in results[task, method].items())
        typer.echo(
            f"{method} on {task}: learning rates x {value:g} (mean of Acc@t1 and Acc@t2 on validation {figures})"
        )
    for task, method in dict.fromkeys(trial.key for trial in attempts):
        if (task, method) not in results:
            typer.echo(f"{method} on {task}: not chosen, as not all of its trials came to their end", err=True)


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
