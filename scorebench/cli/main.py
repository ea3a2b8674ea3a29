"""The command line: parse, call, print. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import sys

import typer

from scorebench.api.errors import UserError
from scorebench.cli import data, doctor, grade, report, reproduce, run, train, view
from scorebench.cli.flags import with_flags_of

app = typer.Typer(
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
app.command()(report.power)
app.command()(with_flags_of(run.run, without=["turns", "fresh"])(report.scaling))
app.command()(with_flags_of(run.run, without=EVALUATION)(train.train))
app.command()(grade.grade)
app.command()(grade.validate)
app.command()(grade.regrade)
app.command()(view.view)
app.command("plots")(view.draw_plots)
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
    except KeyboardInterrupt:
        print("\nscorebench: stopped; the same command goes on from here.", file=sys.stderr)
        sys.exit(130)
