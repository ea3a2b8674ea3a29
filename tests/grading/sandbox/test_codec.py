"""Plain data crosses unchanged and of the exact type; nothing else does, and no bytes do harm where they are read."""

from __future__ import annotations

import datetime
import math
import struct
import sys
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorebench.grading.sandbox.codec import MAX_DEPTH, NotPlainError, decode, encode
from scorebench.grading.sandbox.plain_types import content, refill

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**70, max_value=2**2000)
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text(st.characters())
    | st.binary()
    | st.fractions()
    | st.dates()
    | st.datetimes()
    | st.timedeltas()
    | st.times()
    | st.datetimes(timezones=st.just(datetime.UTC))
    | st.decimals(allow_nan=False)
)
HASHABLE = st.recursive(SCALARS, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=5)
VALUES = st.recursive(
    HASHABLE | st.sets(HASHABLE, max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(HASHABLE, inner, max_size=4) | st.tuples(inner) | st.builds(deque)
    ),
    max_leaves=20,
)


def same(first: Any, second: Any) -> bool:
    """Equal in value and in type, all the way down."""
    if type(first) is not type(second) or first != second:
        return False
    if isinstance(first, dict):
        return all(map(same, first, second)) and all(map(same, first.values(), second.values()))
    return not isinstance(first, list | tuple) or all(map(same, first, second))


@given(VALUES)
def test_a_value_comes_back_as_it_was(value: Any):
    assert same(decode(encode(value)), value)


@pytest.mark.parametrize(
    "value",
    [
        -0.0,
        7**4000,
        -(2**63),
        "\ud800",
        Counter("hello"),
        OrderedDict([(2, 1), (1, 2)]),
        deque([1, 2]),
        range(3, 10, 2),
        bytearray(b"ab"),
        int,
        {}.keys(),
        {1: 2}.items(),
    ],
)
def test_unusual_values_come_back_too(value: Any):
    back = decode(encode(value))
    assert type(back) is type(value)
    assert repr(back) == repr(value)


def test_not_a_number_stays_one():
    assert math.isnan(decode(encode(math.nan)))


class Colour(IntEnum):
    RED = 1


class Liar(list):
    def __iter__(self):
        return iter([1, 2, 3])

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # pyright: ignore[reportAssignmentType]


class Word(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Colour.RED, 1),
        (Liar([4]), [4]),
        (Word("word"), "word"),
        (namedtuple("Point", "x y")(1, 2), (1, 2)),
        (defaultdict(lambda: 0, {1: [2]}), {1: [2]}),
    ],
)
def test_a_subclass_arrives_as_what_its_base_holds(value: Any, plain: Any):
    assert same(decode(encode(value)), plain)


@pytest.mark.parametrize("value", [object(), len, lambda: 0, type("Class", (), {}), Exception(), iter([1])])
def test_what_is_not_plain_is_refused_or_referred_to(value: Any):
    with pytest.raises(NotPlainError):
        encode([value])
    assert decode(encode([value], lambda _: 7), lambda number: ("object", number)) == [("object", 7)]


def nested(kind: type, depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = kind([value])
    return value


def depth_of(value: Any) -> int:
    depth = 0
    while isinstance(value, list | tuple | frozenset):
        (value,), depth = value, depth + 1
    return depth


@pytest.mark.parametrize("kind", [list, tuple, frozenset])
def test_deep_values_cross_and_too_deep_ones_are_refused(kind: type):
    limit = sys.getrecursionlimit()
    deep = nested(kind, MAX_DEPTH - 1)
    assert depth_of(decode(encode(deep))) == MAX_DEPTH - 1
    with pytest.raises(NotPlainError):
        encode(kind([deep]))
    assert sys.getrecursionlimit() == limit


def test_bytes_that_nest_without_end_are_refused():
    with pytest.raises(NotPlainError):
        decode(b"l\x01\x00\x00\x00" * 100_000 + b"N")
    with pytest.raises(NotPlainError):
        decode(b"t\x01\x00\x00\x00" * 100_000 + b"N")


def test_a_deep_tuple_can_be_a_key():
    key = nested(tuple, MAX_DEPTH - 2)
    assert depth_of(next(iter(decode(encode({key: 1}))))) == MAX_DEPTH - 2


def test_two_names_for_one_list_stay_two_names_for_one_list():
    row = [0]
    first, second, table = decode(encode([row, row, {"row": row}]))
    assert first is second is table["row"]
    assert decode(encode([[0], [0]]))[0] is not decode(encode([[0], [0]]))[1]
    ring: list[Any] = []
    ring.append(ring)
    again = decode(encode(ring))
    assert again[0] is again


def test_containers_that_both_sides_know_are_not_sent_again():
    ours: list[Any] = [[1], {2: 3}]
    theirs: list[Any] = [[1], {2: 3}]
    answer = encode([ours[1], ours[0], [4]], known=ours)
    got = decode(answer, known=theirs)
    assert got[0] is theirs[1]
    assert got[1] is theirs[0]
    assert got == [{2: 3}, [1], [4]]
    assert len(ours) == len(theirs) == 4


@pytest.mark.parametrize(
    ("container", "held"),
    [
        ([1], [2, 3]),
        ({1: 2}, {3: [4]}),
        ({1}, {2}),
        (bytearray(b"a"), bytearray(b"bc")),
        (deque([1], 3), deque([2], 3)),
        (Counter("a"), Counter("bb")),
        (OrderedDict(a=1), OrderedDict(b=1, a=2)),
    ],
)
def test_a_container_is_refilled_with_the_content_of_its_copy(container: Any, held: Any):
    refill(container, content(held))
    assert same(container, held)


@given(st.binary())
def test_any_bytes_are_read_or_refused(message: bytes):
    try:
        decode(message)
    except NotPlainError:
        return


@given(VALUES, st.data())
def test_a_damaged_message_is_read_or_refused(value: Any, data: st.DataObject):
    message = bytearray(encode(value))
    place = data.draw(st.integers(0, len(message) - 1))
    message[place] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(message))
    except NotPlainError:
        return


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"l\xff\xff\xff\xff",
        b"s\xff\xff\xff\xffabc",
        b"v" + encode(("array", "i", range(10**12))),
        b"v" + encode(("array", "i", ["x"])),
        b"v" + encode(("timezone", datetime.timedelta(days=3))),
        b"q" + struct.pack("<I", 1) + encode("maxlen") + encode(1),
        b"D" + struct.pack("<I", 0) + encode("eval"),
        b"k" + struct.pack("<I", 0),
        b"B\xff\xff\xff\xff",
        b"v" + encode(("Fraction", "1e999999999")),
        b"v" + encode(("eval", "1")),
        b"v" + encode([]),
        b"y" + encode("eval"),
        b"y" + encode([]),
        b"r" + encode("__import__"),
        b"d" + struct.pack("<I", 1) + encode([]) + encode(1),
        encode(1) + b"N",
    ],
)
def test_hostile_messages_are_refused(message: bytes):
    with pytest.raises(NotPlainError):
        decode(message)


def test_decimals_that_signal_are_no_trap():
    assert decode(encode(Decimal("sNaN"))).is_snan()
    assert decode(encode(Fraction(1, 3))) == Fraction(1, 3)
    assert decode(encode(datetime.date(2024, 2, 29))) == datetime.date(2024, 2, 29)
