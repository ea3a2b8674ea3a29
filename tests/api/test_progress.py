"""Progress says how far things are, how fast and how long, as a bar on a terminal and as lines elsewhere."""

from __future__ import annotations

import io
import sys

import pytest

from scorebench.api import progress as module
from scorebench.api.progress import progress


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_lines_say_rate_time_left_and_note(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("base on math", 100, done=20) as tell:
        for done in range(21, 101):
            clock.now += 0.5
            tell(done, f"Acc@t1 {done}.0 %")
    first, *_, last = capsys.readouterr().err.splitlines()
    assert first == "base on math: 40/100, 2.0/s, 30 s left, Acc@t1 40.0 %"
    assert last == "base on math: 100/100, 2.0/s, 40 s in all, Acc@t1 100.0 %"


def test_slow_units_are_told_in_seconds_each(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("score, stage1", 1000) as tell:
        clock.now += 12.5
        tell(1)
    assert capsys.readouterr().err == "score, stage1: 1/1000, 12.5 s each, 3:28:08 left\n"


def test_short_work_says_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("draw", 3) as tell:
        for done in range(4):
            clock.now += 0.1
            tell(done)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_with_the_same_words(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm")
    with progress("base [bold] on math", 100) as tell:
        clock.now += 10
        tell(50, "Acc@t1 61.0, Acc@t2 [45.0] %")
    shown = terminal.getvalue()
    for words in ("base [bold] on math", "50/100", "5.0/s, 10 s left", "Acc@t1 61.0, Acc@t2 [45.0] %"):
        assert words in shown
