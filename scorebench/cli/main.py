"""The command line: parse, call, print. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
import typer.core

from scorebench import __version__
from scorebench.api import registry, verbosity
from scorebench.api.errors import UserError
from scorebench.api.text import printable
from scorebench.cli import data, doctor, export, grade, report, reproduce, run, train, view
from scorebench.cli.flags import Command, with_flags_of, with_levels
from scorebench.cli.preview import with_previews

# Raised where words do not make a command. It is click's, or that of typer's copy of click, which has no public name.
_UsageError: Any = typer.BadParameter.__bases__[0]


class OneSentenceGroup(typer.core.TyperGroup):
    """Tells mistakes in the words of a command as all others are told; says how to go on after Ctrl-C."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _mistakes_as_sentences():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        try:
            with _mistakes_as_sentences():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            print("\nscorebench: stopped; the same command goes on from here.", file=sys.stderr)
            sys.exit(130)


@contextmanager
def _mistakes_as_sentences() -> Iterator[None]:
    try:
        yield
    except _UsageError as mistake:
        if type(mistake).__name__ == "NoArgsIsHelpError":  # no word at all: the help is the answer
            raise
        said = " ".join(mistake.format_message().split())
        if extra := re.fullmatch(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", said):
            said = f"Too many words: {extra[1]!r}; what a command works on is named with flags."
        command = mistake.ctx.command_path if mistake.ctx else "scorebench"
        raise UserError(f"{said}{'' if said.endswith(('.', '?')) else '.'} See `{command} -h`.") from None


app = typer.Typer(
    cls=OneSentenceGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Flags that change no training.
EVALUATION = ("split", "limit", "turns", "samples", "temperature", "top_p", "max_tokens", "fresh")

COMMANDS: dict[str, Command] = {
    "run": with_previews(run.run),
    "compare": report.compare,
    "leaderboard": report.leaderboard,
    "power": report.power,
    "scaling": with_flags_of(run.run, without=["turns", "fresh"])(report.scaling),
    "train": with_previews(with_flags_of(run.run, without=EVALUATION)(train.train)),
    "grade": grade.grade,
    "validate": grade.validate,
    "regrade": grade.regrade,
    "export": export.export,
    "view": view.view,
    "plots": view.draw_plots,
    "data": data.make_data,
    "tasks": data.tasks,
    "methods": data.methods,
    "doctor": doctor.doctor,
    "reproduce": reproduce.reproduce,
}
for name, command in COMMANDS.items():
    app.command(name)(with_levels(command))


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"scorebench {__version__}")
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """What is it worth when a language model corrects itself?"""


def main() -> None:
    """The entry point: a user's mistake is one sentence and exit status 2, without a traceback."""
    try:
        app()
    except UserError as mistake:
        _end(str(mistake))
    except Exception as fault:
        package = registry.package_behind(fault)
        if package is None:
            raise
        reason = f"{type(fault).__name__}: {fault!s:.200}"
        _end(f"The package {package} broke down ({reason}); tell its author, or mend it. -v shows where.")


def _end(sentence: str) -> None:
    """Ends a command that cannot go on; with -v also shows where in the code."""
    if verbosity.verbose:
        import traceback

        traceback.print_exc()
    print(f"scorebench: {printable(sentence)}", file=sys.stderr)
    sys.exit(2)
