"""The types of plain data that are more than numbers, texts and containers, and how their values are taken apart."""

from __future__ import annotations

import datetime
from array import array
from collections import Counter, OrderedDict
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any


class UnusualValueError(Exception):
    """A value of a type that is usually sent has something that cannot be sent."""


def _time_zone(zone: datetime.tzinfo | None) -> tuple[datetime.timedelta | None, ...]:
    if zone is None:
        return ()
    if type(zone) is not datetime.timezone:
        raise UnusualValueError  # its rules are code
    return (zone.utcoffset(None),)


def _datetime_fields(value: datetime.datetime) -> tuple[Any, ...]:
    date = (value.year, value.month, value.day)
    return (*date, value.hour, value.minute, value.second, value.microsecond, _time_zone(value.tzinfo))


def _datetime(*fields: Any) -> datetime.datetime:
    return datetime.datetime(*fields[:-1], tzinfo=_timezone(*fields[-1]))


def _time_fields(value: datetime.time) -> tuple[Any, ...]:
    return (value.hour, value.minute, value.second, value.microsecond, _time_zone(value.tzinfo))


def _time(*fields: Any) -> datetime.time:
    return datetime.time(*fields[:-1], tzinfo=_timezone(*fields[-1]))


def _timezone(offset: datetime.timedelta | None = None) -> datetime.timezone | None:
    return None if offset is None else datetime.timezone(offset)


_KEYS, _ITEMS, _VALUES = type({}.keys()), type({}.items()), type({}.values())

# type -> (name, the plain arguments that make an equal value)
REDUCE: dict[type, tuple[str, Callable[[Any], tuple[Any, ...]]]] = {
    range: ("range", lambda value: (value.start, value.stop, value.step)),
    slice: ("slice", lambda value: ((value.start, value.stop, value.step),)),
    array: ("array", lambda value: (value.typecode, value.tolist())),
    Fraction: ("Fraction", lambda value: (value.numerator, value.denominator)),
    Decimal: ("Decimal", lambda value: (str(value),)),
    datetime.date: ("date", lambda value: (value.year, value.month, value.day)),
    datetime.datetime: ("datetime", _datetime_fields),
    datetime.time: ("time", _time_fields),
    datetime.timezone: ("timezone", lambda value: (value.utcoffset(None),)),
    datetime.timedelta: ("timedelta", lambda value: (value.days, value.seconds, value.microseconds)),
    _KEYS: ("dict_keys", lambda value: (dict.fromkeys(value),)),
    _ITEMS: ("dict_items", lambda value: (dict(value),)),
    _VALUES: ("dict_values", lambda value: (list(value),)),
}
# name -> (types of its arguments, constructor). The types are checked: range objects in the place of lists would be
# few bytes to send and all memory to receive.
REBUILD: dict[str, tuple[tuple[type, ...], Callable[..., Any]]] = {
    "range": ((int, int, int), range),
    "slice": ((tuple,), lambda bounds: slice(*bounds)),
    "array": ((str, list), array),
    "Fraction": ((int, int), Fraction),
    "Decimal": ((str,), Decimal),
    "date": ((int,) * 3, datetime.date),
    "datetime": ((*(int,) * 7, tuple), _datetime),
    "time": ((*(int,) * 4, tuple), _time),
    "timezone": ((datetime.timedelta,), datetime.timezone),
    "timedelta": ((int,) * 3, lambda days, seconds, microseconds: datetime.timedelta(days, seconds, microseconds)),
    "dict_keys": ((dict,), dict.keys),
    "dict_items": ((dict,), dict.items),
    "dict_values": ((list,), lambda values: dict(enumerate(values)).values()),
}

# Types that may be sent as themselves: harmless to hold, and what tests such as MBPP/533 pass as arguments.
TYPES: dict[str, type] = {
    kind.__name__: kind
    for kind in (bool, int, float, complex, str, bytes, bytearray, list, tuple, set, frozenset, dict, range, object)
} | {"NoneType": type(None)}

# A subclass is sent as what its base holds; the methods are the base's own, whatever the subclass overrides.
BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (int, int.__pos__),
    (float, float.__pos__),
    (complex, complex.__pos__),
    (str, str.__str__),
    (bytes, lambda value: bytes.__getitem__(value, slice(None))),
    (list, lambda value: [*list.__iter__(value)]),
    (tuple, lambda value: (*tuple.__iter__(value),)),
    (set, lambda value: {*set.__iter__(value)}),
    (frozenset, lambda value: frozenset(frozenset.__iter__(value))),
    (Counter, lambda value: Counter(dict(dict.items(value)))),
    (OrderedDict, lambda value: OrderedDict(OrderedDict.items(value))),
    (dict, lambda value: dict(dict.items(value))),
)


def content(container: Any) -> bytes | tuple[Any, ...]:
    """What a mutable container holds at its first level; of a dict, keys and values in turn."""
    if isinstance(container, bytearray):
        return bytes(container)
    if isinstance(container, dict):
        return tuple(item for pair in container.items() for item in pair)
    return tuple(container)


def refill(container: Any, content: Any) -> None:
    """Give a container the content of its copy on the other side. TypeError or ValueError: that is no such content."""
    if isinstance(container, list | bytearray):
        container[:] = content
    elif isinstance(container, dict):
        pairs = dict(zip(content[::2], content[1::2], strict=True))
        if list(container.items()) != list(pairs.items()):
            container.clear()
            container.update(pairs)
    elif isinstance(container, set):
        if container != set(content):
            container.clear()
            container.update(content)
    else:
        container.clear()
        container.extend(content)
