"""`scorebench run`: train where the method trains, play every dialogue, print the table.

The flags repeat the fields of Settings by hand. Making them from Settings imports pydantic for every command: then
`scorebench --help` takes 0.28 s of processor time, and not 0.18 s. tests/cli/test_flags.py holds the two together.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer


def run(
    method: Annotated[
        str | None, typer.Option(help="Method, or several: base,self-refine,score. `scorebench methods` lists them.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="Task, or several: math,humaneval. `scorebench tasks` lists them.")
    ] = None,
    task_args: Annotated[
        str | None, typer.Option(help="Arguments of the task: --task arithmetic --task-args difficulty=3.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Folder, name on the hub, openai:NAME or replay:FILE. Default: the embedded model."),
    ] = None,
    model_args: Annotated[
        str | None,
        typer.Option(
            "--model-args", "--model_args", help="Further arguments of the engine: name=value,... `help` lists them."
        ),
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="hf, vllm, openai or replay. Default auto: vllm where it can run, else hf.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder with the benchmark's files, or hub, or embedded. Default: hub; embedded without --model."
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="test, or validation to choose settings; tables show runs on test only. Default test."),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first N problems. Default: all.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of training and of sampling. Default 0.")] = None,
    turns: Annotated[int | None, typer.Option(help="Attempts in a dialogue. Default 2.")] = None,
    samples: Annotated[int | None, typer.Option(help="Dialogues on each problem. Default 1.")] = None,
    temperature: Annotated[float | None, typer.Option(help="0 is greedy. Default 0.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Nucleus sampling. Default 1.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Only the K most probable tokens. Default 0: all.")] = None,
    repetition_penalty: Annotated[
        float | None, typer.Option(help="Above 1, tokens that occurred become less probable. Default 1.")
    ] = None,
    stop: Annotated[list[str] | None, typer.Option(help="A string that ends a reply; give it again for more.")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Longest reply, in tokens. Default 1024; 256 for the embedded model.")
    ] = None,
    context_length: Annotated[
        int | None, typer.Option(help="Longest prompt and reply together, in tokens. Default: the model's own.")
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16 or float16. Default auto.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1. Default auto.")] = None,
    batch_size: Annotated[
        str | None, typer.Option(help="Dialogues decoded, or requests open, at once. Default auto.")
    ] = None,
    system_prompt: Annotated[str | None, typer.Option(help="System prompt of every dialogue. Default: none.")] = None,
    reading: Annotated[
        str | None,
        typer.Option(help="How answers are found in replies: loose (default), or strict: only in the form asked for."),
    ] = None,
    enable_thinking: Annotated[
        bool | None,
        typer.Option("--enable-thinking/--no-enable-thinking", help="For chat templates that have this argument."),
    ] = None,
    chat_template_args: Annotated[
        list[str] | None, typer.Option(help="Further arguments of the chat template: name=value,...")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a setting of a training: --set stage2.alpha=5. Can be given several times."),
    ] = None,
    report_to: Annotated[
        str | None,
        typer.Option(help="Send the figures of a training to tensorboard, trackio or wandb too, or to several."),
    ] = None,
    fresh: Annotated[
        bool | None, typer.Option("--fresh", help="Play all dialogues again, and replace those that are already there.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML file with flags. The command line wins; its --set adds to the file's.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where runs are written. Default ./results.")] = None,
) -> None:
    """Train where the method trains, play every dialogue, and print what self-correction was worth."""
    flags = {name: value for name, value in locals().items() if name != "config"}
    from scorebench.evaluation.settings import settings_from

    settings = settings_from(flags, config)
    from scorebench.evaluation.session import Session, tell
    from scorebench.report.compare import compare
    from scorebench.report.summary import summarize

    session = Session(settings)
    if results := session.run():
        print(compare([summarize(meta, episodes, meta["run"]) for meta, episodes in results if episodes], tags=()))
        for line in _end(settings.out, [meta["run"] for meta, _ in results]):
            tell(line)
    if session.owed:
        sys.exit(1)


def _end(out: Path, runs: Sequence[str]) -> list[str]:
    """Where the runs lie, and the commands that come next."""
    names = list(dict.fromkeys(runs))
    place = "" if out == Path("results") else f" --out {shlex.quote(str(out))}"
    return [
        *(f"The run is in {out / 'runs' / name}" for name in names),
        f"All runs side by side: scorebench compare{place}. Read the episodes: scorebench view{place}",
    ]
