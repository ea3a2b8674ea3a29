"""The commands that show stored runs: view, a page in a browser, and plots, files."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from scorebench.api.errors import UserError
from scorebench.api.text import printable

Out = Annotated[Path, typer.Option(help="Folder of runs, checkpoints and tables.")]


def view(
    to: Annotated[Path | None, typer.Option(help="File to write. Default: view.html in --out.")] = None,
    transcripts: Annotated[
        int | None, typer.Option(min=0, help="Episodes of each kind of flip of a run, at most. Default: all.")
    ] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Show the page at 127.0.0.1 while runs go on.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of --serve; 0 takes a free one.")] = 8000,
    data: Annotated[
        Path | None, typer.Option(help="Folder with the benchmark's files. Default: where runs found it.")
    ] = None,
    out: Out = Path("results"),
) -> None:
    """All runs as one HTML page: figures, flips, and every episode to read. It opens from disk and loads nothing."""
    from scorebench.report.page import page, server
    from scorebench.storage.files import write_text

    # References come from data sets that the runs have already loaded: nothing is downloaded for a page.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if serve:
        server.serve(server.LivePage(out, transcripts, data), port)
        return
    file = to or out / "view.html"
    make_folder_of(file)
    made = page(out, transcripts, data)
    write_text(file, made.html, "--to")
    _complain(made.complaints)
    print(file)


def draw_plots(
    to: Annotated[Path | None, typer.Option(help="Folder for the plots. Default: plots in --out.")] = None,
    out: Out = Path("results"),
) -> None:
    """Plots of all runs and trainings, as PNG and SVG: accuracy, flips, edit distances, training curves."""
    from scorebench.report import gallery, plots
    from scorebench.report.page.stored import read_stored

    folder = to or out / "plots"
    stored = read_stored(out)
    trainings = gallery.of_trainings(out / "checkpoints")
    pictures = [*gallery.of_runs(stored.summaries), *trainings.pictures]
    complaints = [*stored.complaints, *trainings.complaints]
    saved = 0
    for picture, figure in gallery.drawn(pictures, complaints):
        plots.save(figure, folder / f"{picture.name}.png")
        saved += 1
    _complain(complaints)
    print(f"{saved} plots, as PNG and SVG, in {folder}")


def _complain(complaints: Sequence[str]) -> None:
    """What is left out is said, and is no failure: the rest is there."""
    for complaint in complaints:
        print(f"scorebench: {printable(complaint)}", file=sys.stderr)


def make_folder_of(file: Path | None, flag: str = "--to") -> None:
    """Says what cannot be written before hours of sampling, not after. flag: the one that named the file."""
    from scorebench.storage.files import disk_faults

    if file is not None:
        with disk_faults(file, flag):
            file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_dir():
            raise UserError(f"{file} is a folder; name a file to write with {flag}.")
