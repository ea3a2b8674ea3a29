"""Shows how far the work is, on standard error: a bar on a terminal, and a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from scorebench.api import distributed, verbosity

_EVERY = 10.0  # seconds between lines where there is no terminal


class Progress(Protocol):
    """What is called as work goes on."""

    def __call__(self, done: int, note: str = "") -> None:
        """Shows that so many units are done, with a note beside them."""
        ...


def say(line: str) -> None:
    """Tells the user one line. Of several processes the first one speaks."""
    if distributed.is_first():
        print(line, file=sys.stderr, flush=True)


@contextmanager
def progress(title: str, total: int, done: int = 0) -> Iterator[Progress]:
    """Shows the progress of work of `total` units. `done` of them were finished before, by an earlier command."""
    if verbosity.quiet or not distributed.is_first():
        yield lambda done, note="": None
    elif sys.stderr.isatty():
        with _bar(title, total, done) as tell:
            yield tell
    else:
        yield _lines(title, total)


@contextmanager
def _bar(title: str, total: int, done: int) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        row = bar.add_task(title, total=total, completed=done, note="")
        yield lambda done, note="": bar.update(row, completed=done, note=note)


def _lines(title: str, total: int) -> Progress:
    start = last = time.monotonic()

    def tell(done: int, note: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _EVERY or (done == total and now - start > 2):
            last = now
            print(f"{title}: {done}/{total}  {now - start:.0f} s  {note}", file=sys.stderr, flush=True)

    return tell
