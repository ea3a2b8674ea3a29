"""`scorebench data`, `tasks` and `methods`: what can be run, and how a repair set is made."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from scorebench.api import registry
from scorebench.api.errors import UserError
from scorebench.api.registry import Kind
from scorebench.cli.grade import check_old_out, source_of


def make_data(
    task: Annotated[str, typer.Argument(help="The task to make data for: mbpp-r.")],
    source: Annotated[Path, typer.Option("--from", help="JSON Lines of programs, right and wrong.")],
    origin: Annotated[str | None, typer.Option(help="The model that wrote them. Default: the file's name.")] = None,
    data: Annotated[
        str, typer.Option(help="Folder with MBPP's file, or hub. Default: hub.", show_default=False)
    ] = "hub",
    to: Annotated[Path, typer.Option(help="File to write; its folder then serves as --data.")] = Path("mbpp_r.jsonl"),
    out: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Freeze a model's wrong programs as a repair set."""
    from scorebench.storage.datasets import read_rows
    from scorebench.storage.files import make_parent

    check_old_out(out)

    found = registry.find("task", task)
    if not hasattr(found, "freeze"):
        raise UserError(f"`scorebench data` makes no data for {task}; it makes repair sets for mbpp-r.")
    make_parent(to)  # before a thousand programs are graded
    origin = origin or source.name.partition(".")[0]
    counts = found.freeze(read_rows(source, {}), origin, to, source_of(data))
    print(f"{counts.wrong} wrong programs of {origin} in {to}; {counts.right} were right.")
    if counts.errors:
        raise UserError(f"{counts.errors} programs of {source} could not be graded and are left out: freeze again.")


def tasks() -> None:
    """The tasks that can be run."""
    _print_registered("task")


def methods() -> None:
    """The methods that can be run."""
    _print_registered("method")


def _print_registered(kind: Kind) -> None:
    """A line for each name; a broken one is named on standard error, and the others are still listed."""
    from scorebench.api.about import about

    for name in registry.names(kind):
        try:
            print(f"{name:17} {about(kind, name)}")
        except UserError as fault:
            print(f"scorebench: {fault}", file=sys.stderr)
