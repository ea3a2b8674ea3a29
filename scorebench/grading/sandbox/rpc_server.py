"""What runs inside the candidate's process: it loads the program and answers requests.

The program shares this process and may change anything in it. That is no matter: all that leaves the process is answers
on one socket, and the test runner on the other side takes them for the program's answers, not for a verdict.

Messages to here:
    ("ask", operation, target, arguments, keywords)  do this; the target is the name of one of the program's globals, or
                                                     the number of an object that an earlier answer referred to
    ("value", result) or ("raised", class name, arguments)  what a function of the tests did (test_objects.py)
Messages from here:
    ("value", result, content)   content: what the mutable arguments hold after the call, None if that has not changed
    ("raised", classes, text, arguments, exception)  classes: the exception's ancestors, nearest first
    ("ask", operation, number, arguments, keywords)  call a function of the tests
"""

from __future__ import annotations

import copy
import itertools
import operator
import random
import sys
import types
from _thread import RLock  # the module threading would make every fork slower
from collections.abc import Callable
from typing import Any

from scorebench.grading.sandbox import codec, frames
from scorebench.grading.sandbox.plain_types import content
from scorebench.grading.sandbox.test_objects import TestObjects

READY = b"ready"
MAX_OBJECTS = 100_000
_WARM_REQUESTS = 50
MAX_ARGUMENT_BYTES = 50_000  # of an exception: more is not sent on


def _take(iterator: Any, count: int) -> list[Any]:
    return list(itertools.islice(iterator, count))


def _wait_for(coroutine: Any) -> Any:
    import asyncio  # 60 ms, which most programs need not pay

    async def wait() -> Any:
        return await coroutine

    return asyncio.run(wait())


def _leave(context: Any, exception: Any = None) -> bool:
    kind = type(exception) if exception is not None else None
    return bool(type(context).__exit__(context, kind, exception, None))


OPERATIONS: dict[str, Callable[..., Any]] = {
    "global": lambda value: value,
    "call": lambda target, /, *arguments, **keywords: target(*arguments, **keywords),
    "getattr": getattr,
    "setattr": setattr,
    "delattr": delattr,
    "attribute_of": lambda _, value, name: getattr(value, name),
    "getitem": operator.getitem,
    "setitem": operator.setitem,
    "delitem": operator.delitem,
    "contains": operator.contains,
    "iter": iter,
    "take": _take,
    "reversed": lambda target: list(reversed(target)),
    "len": len,
    "bool": bool,
    "str": str,
    "repr": repr,
    "hash": hash,
    "isinstance": lambda target, value: isinstance(value, target),
    "issubclass": lambda target, value: issubclass(value, target),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "enter": lambda target: type(target).__enter__(target),
    "leave": _leave,
    "wait": _wait_for,
    "swapped": lambda target, name, other: getattr(operator, name)(other, target),
}
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor", "lshift", "rshift")
UNARY = ("neg", "pos", "invert")
OPERATIONS |= {name: getattr(operator, name) for name in (*COMPARISONS, *BINARY, *UNARY)}


class Program:
    """The program's globals, and the objects that its answers referred to."""

    def __init__(self, channel: int) -> None:
        self.channel = channel
        self.module = types.ModuleType("program")  # not __main__: demonstrations at a file's end do not run
        self.objects: list[Any] = []
        self.numbers: dict[int, int] = {}
        self.tests = TestObjects(self.call_tests)
        self.lock = RLock()  # a program's threads may call functions of the tests at once
        sys.modules["program"] = self.module

    def load(self, imports: str, text: str) -> None:
        names = self.module.__dict__
        exec(compile(imports, "<setup>", "exec"), names)
        exec(compile(text, "<program>", "exec", dont_inherit=True), names)

    def refer(self, value: Any) -> tuple[Any, ...]:
        """What stands for an object in an answer: ("test", number) or ("program", number, kind, name of its class)."""
        number = self.tests.number_of(value)
        if number is not None:
            return ("test", number)
        number = self.numbers.get(id(value))
        if number is None:
            if len(self.objects) == MAX_OBJECTS:
                raise codec.NotPlainError("too many objects that are not plain data")
            number = self.numbers[id(value)] = len(self.objects)
            self.objects.append(value)
        kind = _kind(value)
        about = _ancestors(value) if kind == "exception class" else str(type(value).__name__)[:100]
        return ("program", number, kind, about)

    def resolve(self, reference: Any) -> Any:
        """The object that a request means: ("program", number or name) or ("test", ...)."""
        if reference[0] == "test":
            return self.tests.stand_in(*reference[1:])
        if isinstance(reference[1], int):
            return self.objects[reference[1]]
        try:
            return self.module.__dict__[reference[1]]
        except KeyError:
            raise NameError(f"name {reference[1]!r} is not defined") from None

    def answer(self, request: bytes) -> bytes:
        """Do what is asked, and say what came of it."""
        try:
            return self._answer(request)
        except BaseException as exception:
            return self.raised(exception)

    def _answer(self, request: bytes) -> bytes:
        shared: list[Any] = []
        _, operation, target, arguments, keywords = codec.decode(request, self.resolve, shared)
        # Those of the tests: `arguments` itself comes first, and neither it nor `keywords` is theirs.
        places = [place for place in range(1, len(shared)) if shared[place] is not keywords]
        before = [content(shared[place]) for place in places]
        result = OPERATIONS[operation](self.resolve(("program", target)), *arguments, **keywords)
        after = [content(shared[place]) for place in places]
        changed = [(place, now) for place, was, now in zip(places, before, after, strict=True) if not _same(was, now)]
        return codec.encode(("value", result, changed or None), self.refer, shared)

    def raised(self, exception: BaseException) -> bytes:
        """An exception as plain data, whatever its class overrides."""
        try:
            text = f"{str(type(exception).__name__)[:100]}: {str(exception)[:300]}"
        except BaseException:
            text = "an exception without a text"
        classes = _ancestors(type(exception))
        for arguments in (list(_arguments_of(exception)), [text]):
            try:
                if len(codec.encode(arguments, self.refer)) <= MAX_ARGUMENT_BYTES:
                    exception.__traceback__ = None  # its frames would keep alive what the program has left behind
                    return codec.encode(("raised", classes, text, arguments, exception), self.refer)
            except BaseException:
                continue
        return codec.encode(("raised", classes, text, [text], None))

    def call_tests(self, operation: str, number: int, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        """Have something of the tests called. Until the result is there, the tests may ask for something themselves."""
        with self.lock:
            frames.send(self.channel, codec.encode(("ask", operation, number, arguments, keywords), self.refer))
            while True:
                message = frames.receive(self.channel)
                kind, *rest = codec.decode(message, self.resolve)
                if kind == "value":
                    return rest[0]
                if kind == "raised":
                    raise self.tests.exception(*rest)
                frames.send(self.channel, self.answer(message))


_arguments_of = BaseException.__dict__["args"].__get__  # whatever a class has under that name


def _same(was: bytes | tuple[Any, ...], now: bytes | tuple[Any, ...]) -> bool:
    """Whether a container holds the same objects as before; what they hold is looked at by itself."""
    if isinstance(was, bytes):
        return was == now
    return len(was) == len(now) and all(map(operator.is_, was, now))


def _kind(value: Any) -> str:
    if isinstance(value, type):
        return "exception class" if issubclass(value, BaseException) else "class"
    kinds = {types.GeneratorType: "generator", types.CoroutineType: "coroutine", types.FunctionType: "function"}
    return kinds.get(type(value), "object")


def _ancestors(kind: type) -> list[tuple[str, str, int]]:
    """(module, name, number) of a class and of those it inherits from; the number tells classes of one name apart."""
    return [
        (str(ancestor.__module__)[:100], str(ancestor.__qualname__)[:100], id(ancestor))
        for ancestor in type.__dict__["__mro__"].__get__(kind)[:50]
    ]


def warm_up() -> None:
    """Answer a few requests, so that processes forked from here find these functions as CPython has adapted them."""
    program = Program(-1)
    program.load("", "def f(x, y):\n    return [x, (y, {})]\n")
    for _ in range(_WARM_REQUESTS):
        shared: list[Any] = []
        request = codec.encode(("ask", "call", "f", [[1, 2.5], "text"], {}), known=shared)
        codec.decode(program.answer(request), known=shared)
    del sys.modules["program"]


def serve(channel: int) -> None:
    """Load the first message's program and answer requests until the channel closes."""
    random.seed(0)  # the same program gets the same verdict every time
    program = Program(channel)
    frames.send(channel, READY)
    imports, text = codec.decode(frames.receive(channel))
    try:
        program.load(imports, text)
        answer = codec.encode(("value", None, None))
    except BaseException as exception:
        answer = program.raised(exception)
    while True:
        frames.send(channel, answer)
        answer = program.answer(frames.receive(channel))
