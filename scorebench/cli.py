"""The command line: parse, call, print. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from scorebench import analysis, checkpoints, commands, reproduce
from scorebench.errors import UserError
from scorebench.flags import with_flags_of

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="What is it worth when a language model corrects itself?",
)

Out = Annotated[Path, typer.Option(help="Folder of runs, checkpoints and tables.")]


@app.command()
def run(
    method: Annotated[str | None, typer.Option(help="Method, or several: base,self-refine,score.")] = None,
    task: Annotated[str | None, typer.Option(help="Task, or several: math,humaneval.")] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Folder or hub name; openai:NAME, replay:FILE. Without it: the embedded model."),
    ] = None,
    model_args: Annotated[
        str | None, typer.Option("--model-args", "--model_args", help="What else the engine is told: name=value,...")
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="hf, vllm, openai or replay; by default vllm where it can run, else hf.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder with the benchmark's files, in place of the hub; or embedded, as without --model."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="test, or validation to choose settings: no table shows it.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first N problems.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of training and of sampling. Default 0.")] = None,
    turns: Annotated[int | None, typer.Option(help="Attempts in a dialogue. Default 2.")] = None,
    samples: Annotated[int | None, typer.Option(help="Dialogues on each problem. Default 1.")] = None,
    temperature: Annotated[float | None, typer.Option(help="0 is greedy, the default.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Nucleus sampling. Default 1.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Longest reply, in tokens.")] = None,
    dtype: Annotated[str | None, typer.Option(help="auto, float32, bfloat16, float16.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1.")] = None,
    batch_size: Annotated[
        str | None, typer.Option(help="Dialogues decoded, or requests open, at once; auto by default.")
    ] = None,
    system_prompt: Annotated[str | None, typer.Option(help="Put before every dialogue.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Change a training: --set stage2.bonus=5.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of flags; flags given here win.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where runs are written. Default ./results.")] = None,
) -> None:
    """Train where the method trains, play every dialogue, and print what self-correction was worth."""
    flags = {name: value for name, value in locals().items() if name != "config"}
    from scorebench.settings import settings_from

    settings = settings_from(flags, config)
    from scorebench.report.compare import compare
    from scorebench.session import Session

    session = Session(settings)
    if results := session.run():
        print(compare(_summaries(results), tags=()))
    if session.owed:
        sys.exit(1)


@app.command("compare")
def compare_runs(
    baseline: Annotated[str | None, typer.Option(help="Method that the others are compared with.")] = None,
    form: Annotated[str, typer.Option("--format", help="table, md, latex, csv or json.")] = "table",
    seeds: Annotated[bool, typer.Option("--seeds", help="A row for every seed, in place of their mean.")] = False,
    out: Out = Path("results"),
) -> None:
    """All runs: accuracy at each attempt, the gain, and the flips, with 95 % intervals."""
    from scorebench.report.compare import FORMATS, compare

    if form not in FORMATS:
        raise UserError(f"There is no --format {form!r}; take {', '.join(FORMATS)}.")
    print(compare(_summaries(_stored(out)), form, baseline, expand_seeds=seeds))


@app.command()
def leaderboard(
    csv: Annotated[Path, typer.Option(help="File to write.")] = Path("leaderboard.csv"), out: Out = Path("results")
) -> None:
    """All runs as one CSV file, fractions of 1."""
    from scorebench.files import replacing
    from scorebench.report.compare import leaderboard_csv

    text = leaderboard_csv(_summaries(_stored(out)))
    with replacing(csv) as part:
        part.write_text(text, encoding="utf-8")
    print(f"{text.count(chr(10)) - 1} runs in {csv}")


@app.command()
def tasks() -> None:
    """The tasks that can be run."""
    _print_registered("task")


@app.command()
def methods() -> None:
    """The methods that can be run."""
    _print_registered("method")


def _print_registered(kind: Any) -> None:
    from scorebench import registry

    for name in registry.names(kind):
        found = registry.find(kind, name)
        about = getattr(found, "about", None) or sys.modules[type(found).__module__].__doc__ or ""
        print(f"{name:17} {about.strip().partition(chr(10))[0]}")


EVALUATION = ("split", "limit", "turns", "samples", "temperature", "top_p", "max_tokens")  # flags that train no model

for check in (commands.validate, commands.grade, commands.regrade, commands.doctor):
    app.command()(check)
app.command("data")(commands.make_data)
app.command("plots")(analysis.draw_plots)
app.command()(analysis.view)
app.command()(reproduce.reproduce)
app.command()(with_flags_of(run, without=["turns"])(analysis.scaling))
app.command()(with_flags_of(run, without=EVALUATION)(checkpoints.train))


Results = list[tuple[dict[str, Any], list[Any]]]


def _stored(out: Path) -> Results:
    from scorebench.store import tested_runs

    return [(run.meta(), list(run.rows().values())) for run in tested_runs(out / "runs")]


def _summaries(results: Results) -> list[Any]:
    from scorebench.report.summary import summarize

    return [summarize(meta, episodes, meta["run"]) for meta, episodes in results if episodes]


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
