"""Calls into the candidate's process, as the tests make them: `Remote` stands for what is on the other side."""

from __future__ import annotations

import builtins
import os
import select
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from scorebench.grading.sandbox import codec, frames
from scorebench.grading.sandbox.linux import Limits
from scorebench.grading.sandbox.supervisor import PROCESS_ENDED

_STOPS = (StopIteration, StopAsyncIteration)
_LOOK_SECONDS = 0.25  # how often a silent candidate's clocks are read


class ProgramLostError(BaseException):
    """The program can answer no more. No `except Exception` of a test may take it for the program's own exception."""


class TestsFaultError(BaseException):
    """The tests cannot be run at all: a fault of the data or of the harness."""

    __test__ = False


@dataclass
class Line:
    """The line to the candidate: one request at a time, one answer to each.

    lost: why the program can answer no more, None while it can. Whatever the tests do about it, they have failed.
    """

    fd: int
    patience: Patience
    lost: str | None = None

    def ask(self, operation: str, target: int | str, *arguments: Any, **keywords: Any) -> Any:
        """The answer to one request; the program's own exception is raised here as its nearest built-in one."""
        try:
            request = codec.encode((operation, target, list(arguments), keywords), _refer)
        except codec.NotPlainError as fault:  # too large or too deep: an earlier answer that the tests pass on
            self.lose(f"the program's answer cannot be used: {fault}")
        answer = self._exchange(request)
        if answer[0] == "raised":
            raise self._exception(*answer[1:])
        result, after = answer[1:]
        if after is not None:
            _restore(list(arguments), after)
        return result

    def load(self, imports: str, program: str) -> None:
        """Have the program executed; what it raises is the end of it."""
        answer = self._exchange(codec.encode((imports, program)))
        if answer[0] == "raised":
            self.lose(f"{answer[2]} (when the program was loaded)")

    def lose(self, why: str) -> NoReturn:
        self.lost = self.lost or why
        raise ProgramLostError(self.lost)

    def _exchange(self, request: bytes) -> tuple[Any, ...]:
        if self.lost is not None:
            raise ProgramLostError(self.lost)
        self.patience.new_call()
        try:
            frames.send(self.fd, request, lambda: self._wait(select.POLLOUT))
            answer = codec.decode(frames.receive(self.fd, lambda: self._wait(select.POLLIN)), self._resolve)
        except frames.ClosedError:
            self.lose(PROCESS_ENDED)
        except codec.NotPlainError as fault:
            self.lose(f"the program's answer cannot be read: {fault}")
        if not _well_formed(answer):
            self.lose("the program's answer cannot be read: not an answer")
        return answer

    def _wait(self, event: int) -> None:
        poll = select.poll()
        poll.register(self.fd, event)
        while not poll.poll(_LOOK_SECONDS * 1000):
            if why := self.patience.is_over():
                self.lose(why)

    def _resolve(self, reference: int | str) -> Remote:
        if not isinstance(reference, int):
            raise codec.NotPlainError("an answer refers to objects by number")
        return Remote(self, reference)

    def _exception(self, names: list[str], text: str, arguments: list[Any]) -> Exception:
        """The program's exception as its nearest built-in class; one that ends programs ends this one.

        StopIteration is not passed on (as in PEP 479): it would end a test's all(map(...)) early, as if all were true.
        """
        for name in names:
            kind = getattr(builtins, name, None)
            if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, _STOPS):
                try:
                    return kind(*arguments)
                except (TypeError, ValueError):  # not such arguments as this class is made of
                    continue
        self.lose(text)


def _well_formed(answer: Any) -> bool:
    if type(answer) is not tuple or not answer:
        return False
    if answer[0] == "value":
        return len(answer) == 3 and type(answer[2]) in (list, type(None))
    raised = len(answer) == 4 and answer[0] == "raised" and type(answer[1]) is type(answer[3]) is list
    return raised and all(type(text) is str for text in (*answer[1], answer[2]))


class Patience:
    """Whether a silent candidate has slept too long, or taken too long altogether.

    Time spent waiting for a processor on a loaded machine is not held against it; time on a processor is limited by
    the kernel. What is left is sleep, and it is added up over all calls.
    """

    def __init__(self, pid: int, limits: Limits) -> None:
        self.pid, self.limits = pid, limits
        self.deadline = time.monotonic() + limits.wall_seconds
        self.idle_before = self.idle = 0.0  # in earlier calls, and with this one
        self.start: tuple[float, float] | None = None  # this call's first look: the time, and busy seconds until then

    def new_call(self) -> None:
        self.idle_before, self.start = self.idle, None

    def is_over(self) -> str | None:
        """A reason to give up, or None. Called now and then while an answer is awaited."""
        now, clocks = time.monotonic(), _clocks(self.pid)
        if now > self.deadline:
            return f"out of time ({self.limits.wall_seconds:g} s by the clock)"
        if clocks is None:
            return None
        busy, runnable = clocks
        if self.start is None:
            self.start = now, busy
        if runnable:
            return None  # the kernel adds up the time that it waits for a processor only when it gets one
        # From the first look on and not from look to look: clocks that lag behind once are ahead the next time.
        self.idle = self.idle_before + max(0.0, now - self.start[0] - (busy - self.start[1]))
        return f"asleep for {self.limits.idle_seconds:g} s" if self.idle > self.limits.idle_seconds else None


def _clocks(pid: int) -> tuple[float, bool] | None:
    """Seconds that a process's threads have run or waited to run, and whether one does now; None if nobody says."""
    total, runnable = 0, False
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                running, waiting, _ = file.read().split()
            with open(f"/proc/{pid}/task/{thread}/stat") as file:
                runnable |= file.read().rpartition(")")[2].split()[0] == "R"
            total += int(running) + int(waiting)
    except (OSError, ValueError):
        return None
    return (total / 1e9, runnable) if total else None


def _restore(old: Any, new: Any) -> None:
    """Give mutable arguments the state that the call left them in, in place, as a call at home would have done."""
    if type(old) is not type(new):
        return
    if isinstance(old, list | tuple) and len(old) == len(new):
        for index, (was, now) in enumerate(zip(old, new, strict=True)):
            if isinstance(was, list | tuple | dict | set | bytearray | deque):
                _restore(was, now)
            elif isinstance(old, list):
                old[index] = now
    elif isinstance(old, list | bytearray):
        old[:] = new
    elif isinstance(old, dict | set | deque):
        old.clear()
        (old.extend if isinstance(old, deque) else old.update)(new)


class Remote:
    """Something of the program's that stays in its process: one of its globals by name, or an object by number."""

    __slots__ = ("_line", "_target")

    def __init__(self, line: Line, target: int | str) -> None:
        object.__setattr__(self, "_line", line)
        object.__setattr__(self, "_target", target)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self._line.ask("call", self._target, *arguments, **keywords)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._line.ask("getattr", self._target, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._line.ask("setattr", self._target, name, value)

    def __getitem__(self, key: Any) -> Any:
        return self._line.ask("getitem", self._target, key)

    def __len__(self) -> int:
        return self._line.ask("len", self._target)

    def __bool__(self) -> bool:
        return self._line.ask("bool", self._target)

    def __iter__(self) -> Iterator[Any]:
        iterator, count = self._line.ask("iter", self._target), 1
        if not isinstance(iterator, Remote):
            raise TypeError("not an iterator")
        while items := iterator._line.ask("take", iterator._target, count):
            yield from items
            count = min(2 * count, 1000)

    def __next__(self) -> Any:
        for item in self._line.ask("take", self._target, 1):
            return item
        raise StopIteration


def _refer(value: Any) -> int | str:
    if type(value) is Remote:
        return value._target
    raise TestsFaultError(f"the tests pass an object of type {type(value).__name__}, which is not plain data")
