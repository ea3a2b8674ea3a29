"""Shows how far the work is, on standard error: a bar on a terminal, and a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from scorebench.api import distributed, verbosity

_EVERY = 10.0  # seconds between lines where there is no terminal
_SHORT = 2.0  # seconds; work that is done sooner gets no line


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
    """Shows work of `total` units, of which `done` were finished before: how many, how fast, time left, a note.

    Rate and time left are those of this session; units that were done before it do not count.
    """
    if verbosity.quiet or not distributed.is_first():
        yield lambda done, note="": None
    elif sys.stderr.isatty():
        with _bar(title, total, done) as tell:
            yield tell
    else:
        yield _lines(title, total, done)


@contextmanager
def _bar(title: str, total: int, done: int) -> Iterator[Progress]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    words = (TextColumn(f"{{task.fields[{name}]}}", markup=False) for name in ("speed", "note"))
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), *words)
    speed = _speedometer(total, done)
    with Bar(*columns, console=Console(stderr=True)) as bar:
        row = bar.add_task(escape(title), total=total, completed=done, speed="", note="")
        yield lambda done, note="": bar.update(row, completed=done, speed=speed(done), note=note)


def _lines(title: str, total: int, before: int) -> Progress:
    start = last = time.monotonic()
    speed = _speedometer(total, before)

    def tell(done: int, note: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _EVERY or (done == total and now - start > _SHORT):
            last = now
            words = [f"{title}: {done}/{total}", speed(done), note]
            print(", ".join(word for word in words if word), file=sys.stderr, flush=True)

    return tell


def _speedometer(total: int, before: int) -> Callable[[int], str]:
    """Says the rate and the time left, or when all is done the time taken; "" before the first unit is done."""
    start = time.monotonic()

    def speed(done: int) -> str:
        seconds = time.monotonic() - start
        if done <= before or seconds <= 0:
            return ""
        each = seconds / (done - before)
        rate = f"{1 / each:.1f}/s" if each < 1 else f"{each:.1f} s each"
        return f"{rate}, {_clock((total - done) * each)} left" if done < total else f"{rate}, {_clock(seconds)} in all"

    return speed


def _clock(seconds: float) -> str:
    """7 s, 12:05 or 3:04:00."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
