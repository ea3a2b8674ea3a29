"""The command line: parse, call, print. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import sys
from typing import Any

import typer
import typer.core

from scorebench.api.errors import UserError
from scorebench.cli import data, doctor, grade, report, reproduce, run, train
from scorebench.cli.flags import with_flags_of


class StoppedGroup(typer.core.TyperGroup):
    """Says how to go on after Ctrl-C, which typer would end without a word."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print("\nscorebench: stopped; the same command goes on from here.", file=sys.stderr)
            sys.exit(130)


app = typer.Typer(
    cls=StoppedGroup,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="What is it worth when a language model corrects itself?",
)

# Flags that have no part in a training.
EVALUATION = ("split", "limit", "turns", "samples", "temperature", "top_p", "max_tokens", "fresh")

app.command()(run.run)
app.command()(report.compare)
app.command()(report.leaderboard)
app.command()(with_flags_of(run.run, without=["turns", "fresh"])(report.scaling))
app.command()(with_flags_of(run.run, without=EVALUATION)(train.train))
app.command()(grade.grade)
app.command()(grade.validate)
app.command()(grade.regrade)
app.command()(report.view)
app.command("plots")(report.draw_plots)
app.command("data")(data.make_data)
app.command()(data.tasks)
app.command()(data.methods)
app.command()(doctor.doctor)
app.command()(reproduce.reproduce)


def main() -> None:
    """The entry point: a user's mistake is one sentence and exit status 2, without a traceback."""
    try:
        app()
    except UserError as mistake:
        print(f"scorebench: {mistake}", file=sys.stderr)
        sys.exit(2)
