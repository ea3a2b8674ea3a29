"""Functions, iterators and objects that the tests pass to the program: they stay here, and the program asks for them.

A program may ask for what it could do with a function that it was given, and for no more: nothing leads from there to
the tests' names or expected values. Functions of Python's own library are sent by name, so that the program has its
own: one that calls `eval` of the tests would run here.
"""

from __future__ import annotations

import functools
import itertools
import sys
import types
from collections.abc import Iterator
from typing import Any


class Callbacks:
    """What the tests have passed in one job, by number."""

    def __init__(self) -> None:
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}

    def refer(self, value: Any) -> tuple[Any, ...]:
        """What stands for an object of the tests in a request: ("test", number or module, kind, name, arguments).

        The last is there for exceptions only.
        """
        if library := _place_in_library(value):
            return ("test", library[0], "library", library[1])
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._objects)
            self._objects.append(value)
        if isinstance(value, BaseException):
            nearest = next(kind for kind in type(value).__mro__ if kind.__module__ == "builtins")
            return ("test", number, "exception", nearest.__name__, list(value.args))
        return ("test", number, _kind(value), str(getattr(value, "__name__", ""))[:100])

    def object(self, number: Any) -> Any:
        """The object that was passed under this number; ValueError for a number that was not given out."""
        if type(number) is not int or not 0 <= number < len(self._objects):
            raise ValueError("no such object of the tests")
        return self._objects[number]

    def answer(self, operation: Any, number: Any, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        """Do what the program asks of an object; what the object raises is raised, and so is what is not allowed."""
        value = self.object(number)
        kind = _kind(value)
        if operation == "call" and kind == "function":
            return value(*arguments, **keywords)
        if operation == "take" and kind in ("iterator", "generator"):
            return list(itertools.islice(value, 1))
        if kind == "own object":
            return _answer_for_own(value, operation, *arguments, **keywords)
        raise TypeError("the tests do not offer this")


def _answer_for_own(value: Any, operation: Any, /, *arguments: Any, **keywords: Any) -> Any:
    """For an instance of a class that the tests define."""
    if operation in ("getattr", "setattr"):
        name, *new = arguments
        if type(name) is not str or name.startswith("_"):
            raise AttributeError(name)
        return getattr(value, name) if operation == "getattr" else setattr(value, name, *new)
    if operation == "call":
        return value(*arguments, **keywords)
    offered = {"len": len, "bool": bool, "iter": iter, "getitem": lambda value, key: value[key]}
    return offered[operation](value, *arguments)


def _kind(value: Any) -> str:
    if isinstance(value, types.GeneratorType):
        return "generator"
    if isinstance(value, Iterator):
        return "iterator"
    if _is_function_of_tests(value):
        return "function"
    return "own object" if type(value).__module__ == "tests" else "object"


def _is_function_of_tests(value: Any) -> bool:
    if isinstance(value, functools.partial):
        return _is_function_of_tests(value.func)
    if isinstance(value, types.MethodType):
        return type(value.__self__).__module__ == "tests" or getattr(value.__self__, "__module__", "") == "tests"
    if isinstance(value, types.BuiltinMethodType):  # such as the method append of a list of the tests
        return isinstance(value.__self__, list | dict | set | str | tuple)
    return isinstance(value, types.FunctionType | type) and value.__module__ == "tests"


def _place_in_library(value: Any) -> tuple[str, str] | None:
    """(module, name) of a function or class of Python's own library; None for anything else."""
    if not isinstance(value, type | types.FunctionType | types.BuiltinFunctionType | types.MethodDescriptorType):
        return None
    module = getattr(value, "__module__", None) or getattr(getattr(value, "__objclass__", None), "__module__", None)
    name = getattr(value, "__qualname__", "")
    if module not in sys.modules or str(module).partition(".")[0] not in {*sys.stdlib_module_names, "builtins"}:
        return None
    found: Any = sys.modules[module]
    for part in name.split("."):
        found = getattr(found, part, None)
    return (module, name) if found is value else None
