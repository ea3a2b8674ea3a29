"""In the candidate's process: stand-ins for functions, iterators and objects of the tests, which stay with the tests.

A function stands for itself as a function that asks the test runner; the same for an iterator. The test runner answers
only what an object of its kind may be asked (code/callbacks.py); a candidate that asks for more gets an exception.
"""

from __future__ import annotations

import builtins
import importlib
from collections.abc import Callable, Iterator
from typing import Any


class TestIterator:
    """An iterator of the tests."""

    __test__ = False

    def __init__(self, following: Callable[[], list[Any]]) -> None:
        self._following = following

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        for item in self._following():
            return item
        raise StopIteration


class TestObject:
    """An instance of a class that the tests define."""

    __test__ = False

    def __init__(self, ask: Callable[..., Any]) -> None:
        object.__setattr__(self, "_ask", ask)

    def __getattr__(self, name: str) -> Any:
        return self._ask("getattr", name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._ask("setattr", name, value)

    def __len__(self) -> int:
        return self._ask("len")

    def __bool__(self) -> bool:
        return self._ask("bool")

    def __iter__(self) -> Iterator[Any]:
        return self._ask("iter")

    def __getitem__(self, key: Any) -> Any:
        return self._ask("getitem", key)

    def __call__(self, /, *arguments: Any, **keywords: Any) -> Any:
        return self._ask("call", *arguments, **keywords)


class TestObjects:
    """The stand-ins that this process has, one for each number.

    ask: (operation, number, arguments, keywords) to the tests' answer.
    """

    __test__ = False

    def __init__(self, ask: Callable[[str, int, list[Any], dict[str, Any]], Any]) -> None:
        self._ask = ask
        self._made: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}

    def number_of(self, value: Any) -> int | None:
        """The number of a stand-in; None for what is none."""
        return self._numbers.get(id(value))

    def stand_in(self, number: int | str, kind: str, name: str, arguments: Any = ()) -> Any:
        """The stand-in of an object of the tests, or a function of Python's own library that they name."""
        if isinstance(number, str):
            return _named(number, name)
        if number not in self._made:
            made = self.exception(name, arguments) if kind == "exception" else self._make(number, kind, name)
            self._made[number], self._numbers[id(made)] = made, number
        return self._made[number]

    def _make(self, number: int, kind: str, name: str) -> Any:
        def ask(operation: str, /, *arguments: Any, **keywords: Any) -> Any:
            return self._ask(operation, number, list(arguments), keywords)

        if kind == "function":

            def function(*arguments: Any, **keywords: Any) -> Any:
                return ask("call", *arguments, **keywords)

            function.__name__ = function.__qualname__ = name
            return function
        iterator = TestIterator(lambda: ask("take"))
        if kind == "generator":
            return (item for item in iterator)
        return iterator if kind == "iterator" else TestObject(ask)

    @staticmethod
    def exception(name: str, arguments: list[Any]) -> BaseException:
        """What a function of the tests raised: an exception of the nearest built-in class."""
        kind = getattr(builtins, name, Exception)
        try:
            return kind(*arguments)
        except (TypeError, ValueError):  # not such arguments as this class is made of
            return RuntimeError(name, *arguments)


def _named(module: str, name: str) -> Any:
    value = importlib.import_module(module)
    for part in name.split("."):
        value = getattr(value, part)
    return value
