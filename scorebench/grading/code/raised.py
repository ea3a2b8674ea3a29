"""Exceptions of the program, as the tests meet them.

Nothing that the program sent is given to an exception's constructor. CPython trusts what stands in some of them: the
positions of a UnicodeDecodeError, for one. The tests get an instance of a class of ours that inherits from the nearest
class they know; its arguments are plain data, and its text is asked for only if a test asks.
"""

from __future__ import annotations

import builtins
import sys
from typing import Any

_STOPS = (StopIteration, StopAsyncIteration)
_GROUPS = (BaseExceptionGroup,)  # cannot be made without its members
_PLAIN_TEXTS = (BaseException.__str__, KeyError.__str__)  # the classes with these read nothing but their arguments
MAX_TEXT = 10_000

Ancestor = tuple[str, str, int]  # module, name, number


class RaisedByProgram:
    """The first base class of every exception that the program has raised, as the tests see it."""

    _remote: Any = None  # stands for the exception itself; None where it could not be kept
    _text: str = ""

    def __str__(self) -> str:
        if self._remote is None:
            return self._text or super().__str__()
        text = str(self._remote)
        return text if len(text) <= MAX_TEXT else text[:MAX_TEXT]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or self._remote is None:
            raise AttributeError(name)
        return getattr(self._remote, name)


class ExceptionClasses:
    """The tests' own classes for the exception classes of one program, one for each."""

    def __init__(self) -> None:
        self._made: dict[Ancestor, type[Exception]] = {}
        self._joined: dict[tuple[type, type], type[Exception]] = {}
        self._targets: dict[type[Exception], int] = {}

    def raised(self, ancestors: list[Ancestor], text: str, arguments: list[Any], remote: Any) -> Exception | None:
        """An exception to raise in the tests; None for one that must end the tests.

        Those are exceptions that end programs, and StopIteration, which would end a test's all(map(...)) early, as if
        all were true (PEP 479 has the same reason).
        """
        kind = self.of(ancestors)
        if kind is None:
            return None
        if not issubclass(kind, RaisedByProgram) and kind.__str__ not in _PLAIN_TEXTS:
            kind = self._child(ancestors[0], kind)
        exception = kind.__new__(kind)
        exception.args = tuple(arguments)
        exception.__dict__.update(_remote=remote, _text=text)
        if isinstance(exception, OSError) and len(arguments) >= 2 and type(arguments[0]) is int:
            exception.errno, exception.strerror = arguments[:2]
        return exception

    def of(self, ancestors: list[Ancestor]) -> type[Exception] | None:
        """The class that the tests see for a class of the program; None if that is no Exception.

        ancestors: the program's class and all of its base classes, the class itself first.
        """
        known: type[Exception] | None = None
        for ancestor in reversed(ancestors):
            here = _known_class(ancestor)
            if known is None or here is None:
                known = here or (known and self._child(ancestor, known))
            else:
                known = here if issubclass(here, known) else self._both(here, known)
        if known is None or issubclass(known, _STOPS):
            return None
        return known

    def _both(self, first: type[Exception], second: type[Exception]) -> type[Exception]:
        if (first, second) not in self._joined:
            try:
                self._joined[first, second] = type(first.__name__, (first, second), {})
            except TypeError:  # CPython cannot lay out an object of both
                return first
        return self._joined[first, second]

    def keep(self, kind: type[Exception], target: int) -> type[Exception]:
        """Records the number of the program's class that `kind` stands for; returns `kind`. See `target_of`."""
        if issubclass(kind, RaisedByProgram):
            self._targets[kind] = target
        return kind

    def target_of(self, kind: type) -> int | None:
        """The number of the program's class that a class of the tests stands for."""
        return self._targets.get(kind)

    def _child(self, ancestor: Ancestor, base: type[Exception]) -> type[Exception]:
        made = self._made.get(ancestor)
        if made is None or not issubclass(made, base):
            bases = (base,) if issubclass(base, RaisedByProgram) else (RaisedByProgram, base)
            made = self._made[ancestor] = type(ancestor[1].rpartition(".")[2], bases, {})
        return made


def _known_class(ancestor: Ancestor) -> type[Exception] | None:
    """The class of the standard library with that name, if the test runner has already imported it; else None."""
    module, name, _ = ancestor
    if module.partition(".")[0] not in sys.stdlib_module_names and module != "builtins":
        return None
    found = getattr(builtins if module == "builtins" else sys.modules.get(module), name, None)
    usable = isinstance(found, type) and issubclass(found, Exception) and not issubclass(found, _GROUPS)
    return found if usable else None


def are_ancestors(value: Any) -> bool:
    """Whether a value that the program sent has the form of a list of ancestors."""
    return type(value) is list and 0 < len(value) <= 50 and all(map(_is_ancestor, value))


def _is_ancestor(value: Any) -> bool:
    if type(value) is not tuple or tuple(map(type, value)) != (str, str, int):
        return False
    return all(len(name) <= 100 and name.isprintable() for name in value[:2])
