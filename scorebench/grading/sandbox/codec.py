"""The language that the candidate and the test runner speak: plain data, and nothing else.

One value is one tag byte and its content. Nothing in a message names code that is then run: a message is read into
None, bool, int, float, complex, str, bytes, list, tuple, set, frozenset, dict and a closed list of other value types
(plain_types.py), always of the exact type. So an answer that claims to be equal to everything arrives as what it holds.

A mutable container that occurs twice is written once, and its second occurrence says which container it is. So two
names for one list are still two names for one list on the other side.

What is not plain stays where it is, and a reference to it is sent instead: `refer` turns an object into plain data
that names it when writing, `resolve` does the opposite when reading.
"""

from __future__ import annotations

import struct
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from scorebench.grading.sandbox.named import NamedValues
from scorebench.grading.sandbox.plain_types import BASES, REBUILD, REDUCE, TYPES, UnusualValueError

MAX_BYTES = 16 * 2**20
MAX_DEPTH = 10_000  # the C stack limits it: the hash of a nested tuple takes a frame for each level

_U32 = struct.Struct("<I")
_F64 = struct.Struct("<d")
_C128 = struct.Struct("<dd")

Refer = Callable[[Any], Any]
Resolve = Callable[[Any], Any]


class NotPlainError(Exception):
    """A value cannot be sent, or the bytes received are no value."""


def encode(value: Any, refer: Refer | None = None, known: list[Any] | None = None) -> bytes:
    """The bytes of a value; NotPlainError where it is not plain and `refer` is absent or will not have it.

    known: the mutable containers that the reader has already, in an order that both sides share. Those that the value
        adds are appended, so that the list also keeps them alive.
    """
    known = [] if known is None else known
    before = len(known)
    writer = _Writer(refer, known)
    try:
        writer.write(value, MAX_DEPTH)
    except RecursionError:
        del known[before:]
        writer = _Writer(refer, known)
        with _room_for_deep_values():
            writer.write(value, MAX_DEPTH)
    message = b"".join(writer.parts)
    if len(message) > MAX_BYTES:
        raise NotPlainError(f"a value of {len(message):,} bytes is larger than {MAX_BYTES:,}")
    return message


@contextmanager
def _room_for_deep_values() -> Iterator[None]:
    """Allow one more Python call for each level of a value; such calls take no C stack.

    Only for values that are deep: the limit belongs to all threads of a process.
    """
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(min(limit + 3 * MAX_DEPTH, 2**31 - 1))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


class _Writer:
    def __init__(self, refer: Refer | None, known: list[Any]) -> None:
        self.parts: list[bytes] = []
        self.put = self.parts.append
        self.refer, self.known = refer, known
        self.places = {id(container): place for place, container in enumerate(known)} if known else {}

    def write(self, value: Any, depth: int) -> None:
        if depth == 0:
            raise NotPlainError(f"a value is nested deeper than {MAX_DEPTH:,}")
        put = self.put
        kind = type(value)
        if kind is int:
            self.put_bytes(b"i", value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True))
        elif kind is str:
            self.put_bytes(b"s", value.encode("utf-8", "surrogatepass"))
        elif value is None:
            put(b"N")
        elif kind is bool:
            put(b"T" if value else b"F")
        elif kind is float:
            put(b"f" + _F64.pack(value))
        elif kind is tuple or kind is frozenset:
            put((b"t" if kind is tuple else b"Z") + _U32.pack(len(value)))
            for item in value:
                self.write(item, depth - 1)
        elif kind in _MUTABLE_TAGS:
            self.write_container(value, kind, depth)
        elif kind is bytes:
            self.put_bytes(b"b", value)
        elif kind is complex:
            put(b"c" + _C128.pack(value.real, value.imag))
        else:
            self.write_unusual(value, depth)

    def put_bytes(self, tag: bytes, content: bytes) -> None:
        self.put(tag + _U32.pack(len(content)))
        self.put(content)

    def write_container(self, value: Any, kind: type, depth: int) -> None:
        place = self.places.get(id(value))
        if place is not None:
            self.put(b"k" + _U32.pack(place))
            return
        if kind is defaultdict and TYPES.get(getattr(value.default_factory, "__name__", "")) is not (
            value.default_factory
        ):
            value = dict(value)  # its function for missing keys is code
            kind = dict
        self.places[id(value)] = len(self.known)
        self.known.append(value)
        if kind is bytearray:
            self.put_bytes(b"B", bytes(value))
            return
        self.put(_MUTABLE_TAGS[kind] + _U32.pack(len(value)))
        if kind is defaultdict:
            self.write(value.default_factory.__name__, depth - 1)
        elif kind is deque:
            self.write(value.maxlen, depth - 1)
        if issubclass(kind, dict):
            for key, item in value.items():
                self.write(key, depth - 1)
                self.write(item, depth - 1)
        else:
            for item in value:
                self.write(item, depth - 1)

    def write_unusual(self, value: Any, depth: int) -> None:
        kind = type(value)
        if kind in REDUCE:
            name, arguments = REDUCE[kind]
            try:
                fields = arguments(value)
            except UnusualValueError:
                return self.write_reference(value, depth)
            self.put(b"v")
            return self.write((name, *fields), depth - 1)
        if kind is type and TYPES.get(value.__name__) is value:
            self.put(b"y")
            return self.write(value.__name__, depth - 1)
        if kind.__module__ == "numpy" and getattr(value, "shape", None) == ():
            return self.write(value.item(), depth - 1)
        if self.refer is not None and (named := NamedValues.of(value, self.refer)):
            self.put(b"n")
            self.write(named, depth - 1)
            return self.write((*tuple.__iter__(value),), depth - 1)
        for base, plain in BASES:
            if isinstance(value, base):
                return self.write(plain(value), depth - 1)
        return self.write_reference(value, depth)

    def write_reference(self, value: Any, depth: int) -> None:
        if self.refer is None:
            raise NotPlainError(f"an object of type {type(value).__name__:.100} is not plain data")
        reference = self.refer(value)
        self.put(b"r")
        self.write(reference, depth - 1)


def decode(message: bytes, resolve: Resolve | None = None, known: list[Any] | None = None) -> Any:
    """The value of the bytes; NotPlainError for anything that `encode` would not have written.

    known: as in `encode`; the mutable containers of the message are appended.
    """
    try:
        value, end = _read(message, resolve, [] if known is None else known)
    except NotPlainError:
        raise
    except (struct.error, IndexError, KeyError, TypeError, ValueError, ArithmeticError) as fault:
        raise NotPlainError(f"not a message: {type(fault).__name__}") from None
    if end != len(message):
        raise NotPlainError("not a message: something follows it")
    return value


def _read(message: bytes, resolve: Resolve | None, known: list[Any]) -> tuple[Any, int]:
    before = len(known)
    try:
        return _Reader(message, resolve, known).read(0, MAX_DEPTH)
    except RecursionError:
        del known[before:]
    with _room_for_deep_values():
        return _Reader(message, resolve, known).read(0, MAX_DEPTH)


class _Reader:
    def __init__(self, message: bytes, resolve: Resolve | None, known: list[Any]) -> None:
        self.message, self.resolve, self.known = message, resolve, known

    def read(self, at: int, depth: int) -> tuple[Any, int]:
        """The value that starts at byte `at`, and the place behind it."""
        if depth == 0:
            raise NotPlainError(f"a value is nested deeper than {MAX_DEPTH:,}")
        tag = self.message[at : at + 1]
        at += 1
        if tag in b"isb" and tag:
            return self.read_bytes(tag, at)
        if tag in _CONSTANTS:
            return _CONSTANTS[tag], at
        if tag == b"f":
            return _F64.unpack_from(self.message, at)[0], at + 8
        if tag == b"t" or tag == b"Z":
            items, at = self.read_items(at, depth)
            return (tuple(items) if tag == b"t" else frozenset(items)), at
        if tag in _CONTAINERS:
            return self.read_container(tag, at, depth)
        if tag == b"B":
            content, at = self.read_bytes(b"b", at)
            self.known.append(bytearray(content))
            return self.known[-1], at
        if tag == b"k":
            return self.known[_U32.unpack_from(self.message, at)[0]], at + 4
        if tag == b"c":
            return complex(*_C128.unpack_from(self.message, at)), at + 16
        return self.read_unusual(tag, at, depth)

    def read_bytes(self, tag: bytes, at: int) -> tuple[Any, int]:
        (length,) = _U32.unpack_from(self.message, at)
        at += 4
        content = self.message[at : at + length]
        if len(content) != length:
            raise NotPlainError("not a message: it is cut off")
        if tag == b"i":
            return int.from_bytes(content, "little", signed=True), at + length
        if tag == b"s":
            return content.decode("utf-8", "surrogatepass"), at + length
        return content, at + length

    def read_items(self, at: int, depth: int) -> tuple[list[Any], int]:
        (length,) = _U32.unpack_from(self.message, at)
        at += 4
        items = []
        for _ in range(length):
            item, at = self.read(at, depth - 1)
            items.append(item)
        return items, at

    def read_container(self, tag: bytes, at: int, depth: int) -> tuple[Any, int]:
        (length,) = _U32.unpack_from(self.message, at)
        at += 4
        if tag == b"D":
            name, at = self.read(at, depth - 1)
            made: Any = defaultdict(TYPES[name])
        elif tag == b"q":
            longest, at = self.read(at, depth - 1)
            made = deque(maxlen=longest)
        else:
            made = _CONTAINERS[tag]()
        self.known.append(made)  # before its content, which may refer to it
        if isinstance(made, dict):
            for _ in range(length):
                key, at = self.read(at, depth - 1)
                made[key], at = self.read(at, depth - 1)
            return made, at
        items: list[Any] = []
        add = items.append if tag == b"S" else made.append
        for _ in range(length):
            item, at = self.read(at, depth - 1)
            add(item)
        if tag == b"S":
            # As Python makes a literal of constants, by way of a frozenset: the order of the set, which a program may
            # show (and MBPP/341 asks about), is then what it would have been had the tests made the call at home.
            made.update(frozenset(items))
        return made, at

    def read_unusual(self, tag: bytes, at: int, depth: int) -> tuple[Any, int]:
        if tag == b"v":
            (name, *arguments), at = self.read(at, depth - 1)
            kinds, rebuild = REBUILD[name]
            if tuple(map(type, arguments)) != kinds:
                raise NotPlainError(f"not a message: no {name} is made of these")
            return rebuild(*arguments), at
        if tag == b"y":
            name, at = self.read(at, depth - 1)
            return TYPES[name], at
        if tag == b"n" and self.resolve is not None:
            named, at = self.read(at, depth - 1)
            values, at = self.read(at, depth - 1)
            return NamedValues.rebuilt(named, values, self.resolve), at
        if tag == b"r" and self.resolve is not None:
            reference, at = self.read(at, depth - 1)
            return self.resolve(reference), at
        raise NotPlainError(f"not a message: tag {tag!r}")


_CONSTANTS: dict[bytes, Any] = {b"N": None, b"T": True, b"F": False}
_CONTAINERS: dict[bytes, type] = {
    b"l": list,
    b"d": dict,
    b"S": set,
    b"q": deque,
    b"C": Counter,
    b"O": OrderedDict,
    b"D": defaultdict,
}
_MUTABLE_TAGS: dict[type, bytes] = {kind: tag for tag, kind in _CONTAINERS.items()} | {bytearray: b"B"}
