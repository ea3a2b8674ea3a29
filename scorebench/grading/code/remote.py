"""What stands in the tests for something of the program that is not plain data: an object, a function, a class.

A `Remote` asks the program's process for whatever the tests do with it. Three things the program may not decide, as
they would let it say that its own answer is right:
- Compared with plain data, a Remote is equal to nothing and has no order. Two Remotes are compared by the program.
- It is no number: it has no abs(), int(), float() or round().
- Arithmetic with plain data is for tests of a class of the program (`Vector(1, 2) * 3`), and gives a Remote again.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from typing import Any, Protocol

from scorebench.grading.sandbox.rpc_server import BINARY, COMPARISONS, UNARY

# What isinstance() is told about a Remote of this kind, beside its own type.
_CLASSES = {"generator": types.GeneratorType, "function": types.FunctionType, "class": type}
_READABLE = ("__name__", "__qualname__", "__dict__", "__wrapped__", "__annotations__", "__members__")
_MAX_TAKEN = 1000


class Line(Protocol):
    """What a Remote asks through (rpc_client.Line)."""

    tests_classes: bool

    def ask(
        self, operation: str, target: int | str, arguments: Sequence[Any] = (), keywords: Mapping[str, Any] = {}
    ) -> Any:
        """The answer to one request."""


class Remote:
    """Something of the program's that stays in its process: one of its globals by name, or an object by number."""

    __slots__ = ("_kind", "_line", "_target")

    def __init__(self, line: Line, target: int | str, kind: str = "object") -> None:
        object.__setattr__(self, "_line", line)
        object.__setattr__(self, "_target", target)
        object.__setattr__(self, "_kind", kind)

    def _ask(self, operation: str, /, *arguments: Any) -> Any:
        return self._line.ask(operation, self._target, arguments)

    def _ask_for(self, kind: type, operation: str) -> Any:
        answer = self._ask(operation)
        if type(answer) is not kind:
            raise TypeError(f"{operation} gave no {kind.__name__}")
        return answer

    def _attribute_of(self, value: Any, name: str) -> Any:
        return self._ask("attribute_of", value, name)

    @property
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _CLASSES.get(self._kind, type(self))

    def __call__(self, /, *arguments: Any, **keywords: Any) -> Any:
        return self._line.ask("call", self._target, arguments, keywords)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in _READABLE:
            raise AttributeError(name)
        return self._ask("getattr", name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._ask("setattr", name, value)

    def __delattr__(self, name: str) -> None:
        self._ask("delattr", name)

    def __getitem__(self, key: Any) -> Any:
        return self._ask("getitem", key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._ask("setitem", key, value)

    def __delitem__(self, key: Any) -> None:
        self._ask("delitem", key)

    def __contains__(self, item: Any) -> bool:
        if self._line.tests_classes:
            return self._ask("contains", item) is True
        return any(item is mine or item == mine for mine in self)

    def __len__(self) -> int:
        return self._ask("len")

    def __bool__(self) -> bool:
        return self._ask("bool")

    def __str__(self) -> str:
        return self._ask_for(str, "str")

    def __repr__(self) -> str:
        return self._ask_for(str, "repr")

    def __hash__(self) -> int:
        return hash(self._ask_for(int, "hash"))

    def __iter__(self) -> Iterator[Any]:
        iterator, count = self._ask("iter"), 1
        if not isinstance(iterator, Remote):
            raise TypeError("not an iterator")
        while items := iterator._ask("take", count):
            yield from items
            count = min(2 * count, _MAX_TAKEN)

    def __next__(self) -> Any:
        for item in self._ask("take", 1):
            return item
        raise StopIteration

    def __reversed__(self) -> Iterator[Any]:
        return iter(self._ask("reversed"))

    def __instancecheck__(self, value: Any) -> bool:
        return isinstance(value, _FROM_PROGRAM) and self._ask("isinstance", value) is True

    def __subclasscheck__(self, value: Any) -> bool:
        return isinstance(value, Remote) and self._ask("issubclass", value) is True

    def __copy__(self) -> Any:
        return self._ask("copy")

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self._ask("deepcopy")

    def __enter__(self) -> Any:
        return self._ask("enter")

    def __exit__(self, kind: Any, exception: Any, traceback: Any) -> bool:
        return self._ask("leave", exception) is True


_FROM_PROGRAM = (Remote, tuple, int, float, str, list, dict, set)  # what an instance of its classes may arrive as


class RemoteCoroutine(Remote, Coroutine):
    """A coroutine of the program: it runs in the program's process, from start to end, when it is awaited."""

    __slots__ = ()

    def send(self, value: Any) -> Any:
        raise StopIteration(self._ask("wait"))

    def __next__(self) -> Any:  # asyncio advances a coroutine by this, as Remote has it
        return self.send(None)

    def throw(self, *exception: Any) -> Any:
        raise exception[0]

    def close(self) -> None:
        """Nothing to do: what was not awaited has not run."""

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._ask("wait")
        yield  # a generator that ends at once


def _compared(name: str) -> Callable[[Remote, Any], Any]:
    def method(self: Remote, other: Any) -> Any:
        if not isinstance(other, Remote):
            return NotImplemented
        return self._ask(name, other)

    return method


def _combined(name: str, *, swapped: bool = False) -> Callable[[Remote, Any], Any]:
    def method(self: Remote, other: Any) -> Any:
        if isinstance(other, Remote):
            return NotImplemented if swapped else self._ask(name, other)
        if not self._line.tests_classes:
            return NotImplemented
        answer = self._ask("swapped", name, other) if swapped else self._ask(name, other)
        return answer if isinstance(answer, Remote) else NotImplemented

    return method


def _alone(name: str) -> Callable[[Remote], Any]:
    return lambda self: self._ask(name)


Remote.__doc__ = property(lambda self: self._ask("getattr", "__doc__"))  # pyright: ignore
for _name in COMPARISONS:
    setattr(Remote, f"__{_name}__", _compared(_name))
for _name in BINARY:
    setattr(Remote, f"__{_name.rstrip('_')}__", _combined(_name))
    setattr(Remote, f"__r{_name.rstrip('_')}__", _combined(_name, swapped=True))
for _name in UNARY:
    setattr(Remote, f"__{_name}__", _alone(_name))


class Remotes:
    """The Remotes of one program: the same object is always the same Remote, and has a type with its class's name."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._made: dict[int, Remote] = {}
        self._types: dict[str, type[Remote]] = {}

    def of(self, number: int, kind: str, class_name: str) -> Remote:
        """The Remote of an object by its number."""
        if number not in self._made:
            self._made[number] = self._type(kind, class_name)(self._line, number, kind)
        return self._made[number]

    def _type(self, kind: str, class_name: str) -> type[Remote]:
        if kind == "coroutine":
            return RemoteCoroutine
        if kind != "object" or not class_name.isidentifier():
            return Remote
        if class_name not in self._types:
            self._types[class_name] = type(class_name, (Remote,), {"__slots__": ()})
        return self._types[class_name]
