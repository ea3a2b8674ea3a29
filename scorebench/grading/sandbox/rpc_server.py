"""What runs inside the candidate's process: it loads the program and answers calls.

The program shares this process and may change anything in it. That is no matter: all that leaves the process is answers
on one socket, and the judge on the other side takes them for the program's answers, not for a verdict.

A request is (operation, target, arguments, keywords); an answer is ("value", result, arguments after the call or None)
or ("raised", names of the exception's built-in classes, its text, its arguments). A target is the name of one of the
program's globals, or the number of an object that an earlier answer referred to.
"""

from __future__ import annotations

import itertools
import operator
import random
import sys
import types
from collections import deque
from collections.abc import Callable
from typing import Any

from scorebench.grading.sandbox import codec, frames

READY = b"ready"
_MAX_OBJECTS = 100_000
_MUTABLE = (list, dict, set, bytearray, deque)


def _take(iterator: Any, count: int) -> list[Any]:
    return list(itertools.islice(iterator, count))


OPERATIONS: dict[str, Callable[..., Any]] = {
    "call": lambda target, *arguments, **keywords: target(*arguments, **keywords),
    "getattr": getattr,
    "setattr": setattr,
    "getitem": operator.getitem,
    "iter": iter,
    "take": _take,
    "len": len,
    "bool": bool,
}


class Program:
    """The program's globals, and the objects that its answers referred to."""

    def __init__(self) -> None:
        self.module = types.ModuleType("program")  # not __main__: demonstrations at a file's end do not run
        self.objects: list[Any] = []
        sys.modules["program"] = self.module

    def load(self, imports: str, text: str) -> None:
        names = self.module.__dict__
        exec(compile(imports, "<setup>", "exec"), names)
        exec(compile(text, "<program>", "exec", dont_inherit=True), names)

    def refer(self, value: Any) -> int:
        if len(self.objects) == _MAX_OBJECTS:
            raise codec.NotPlainError("too many objects that are not plain data")
        self.objects.append(value)
        return len(self.objects) - 1

    def resolve(self, reference: int | str) -> Any:
        if isinstance(reference, int):
            return self.objects[reference]
        try:
            return self.module.__dict__[reference]
        except KeyError:
            raise NameError(f"name {reference!r} is not defined") from None

    def answer(self, request: bytes) -> bytes:
        operation, target, arguments, keywords = codec.decode(request, self.resolve)
        before = self._mutable_state(arguments)
        result = OPERATIONS[operation](self.resolve(target), *arguments, **keywords)
        after = None if before is None or self._mutable_state(arguments) == before else arguments
        return codec.encode(("value", result, after), self.refer)

    def _mutable_state(self, arguments: list[Any]) -> bytes | None:
        """The arguments as bytes where the call could change them, so that the caller sees the change."""
        if any(isinstance(argument, _MUTABLE) for argument in _flat(arguments)):
            return codec.encode(arguments, id)
        return None


def _flat(arguments: list[Any]) -> list[Any]:
    """The arguments, and the items of those that are tuples."""
    return [item for argument in arguments for item in (argument if type(argument) is tuple else (argument,))]


def serve(channel: int) -> None:
    """Load the first message's program and answer calls until the channel closes."""
    random.seed(0)  # the same program gets the same verdict every time
    program = Program()
    frames.send(channel, READY)
    imports, text = codec.decode(frames.receive(channel))
    try:
        program.load(imports, text)
        answer = codec.encode(("value", None, None))
    except BaseException as exception:
        answer = _raised(exception)
    while True:
        frames.send(channel, answer)
        request = frames.receive(channel)
        try:
            answer = program.answer(request)
        except BaseException as exception:
            answer = _raised(exception)


def _raised(exception: BaseException) -> bytes:
    """An exception as plain data, whatever its class overrides."""
    names = [kind.__name__ for kind in type(exception).__mro__ if kind.__module__ == "builtins"]
    try:
        text = f"{type(exception).__name__}: {str(exception)[:300]}"
    except BaseException:
        text = "an exception without a text"
    try:
        return codec.encode(("raised", names, text, list(exception.args)))
    except BaseException:
        return codec.encode(("raised", names, text, [text]))
