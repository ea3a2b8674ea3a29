"""What a program answers on inputs that are shown to everybody: programs that answer alike are one vote.

The inputs are those of test statements that stand in the prompt. Only the calls of the entry point are run, with what
is made of their answer before it is compared: of `assert set(f(2)) == {1, 2}` that is `set(f(2))`. The expected value
is neither computed nor compared, so that agreement says nothing about being right.
"""

from __future__ import annotations

import ast
import hashlib
from collections import deque
from collections.abc import Callable, ItemsView, Iterator, KeysView, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from scorebench.grading.code.remote import Remote
from scorebench.grading.code.rpc_client import ProgramLostError, TestsFaultError

LOST = "lost"  # the program ended, or ran out of time or memory


def shown_expressions(statement: ast.AST, entry: str) -> Iterator[ast.expr]:
    """The calls of the entry point in a statement, outermost first, each with the functions that alone are around it.

    Those are functions of one argument, such as set or sorted. A function of several, such as isclose, may compare.
    """
    for node in ast.iter_child_nodes(statement):
        if isinstance(node, ast.expr) and _is_shown(node, entry):
            yield node
        else:
            yield from shown_expressions(node, entry)


def _is_shown(node: ast.expr, entry: str) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name)) if name == entry:
            return True
        case ast.Call(func=ast.Name() | ast.Attribute(value=ast.Name()), args=[argument], keywords=[]):
            return _is_shown(argument, entry)
    return False


def digest_of_outputs(statements: Sequence[ast.stmt], entry: str, load: Callable[[], dict[str, Any]]) -> str:
    """Runs the statements in order, of those that show calls only the calls, and digests what the program answered.

    load: has the program loaded, and gives the names that the statements run with. What is raised is an answer too, by
    its class; a program that is lost has the same answer from there on.
    """
    outputs: list[str] = []
    try:
        names = load()
        for statement in statements:
            shown = list(shown_expressions(statement, entry))
            if not shown:
                exec(compile(ast.Module([statement], []), "<shown>", "exec"), names)
            outputs.extend(_output(expression, names) for expression in shown)
    except TestsFaultError:
        raise
    except ProgramLostError:
        outputs.append(LOST)
    except BaseException as exception:  # what stands between the calls needs something of the program's
        outputs.append(f"raised {type(exception).__name__}")
    return hashlib.sha256("\n".join(outputs).encode("utf-8", "surrogatepass")).hexdigest()


def _output(expression: ast.expr, names: dict[str, Any]) -> str:
    try:
        return canonical(eval(compile(ast.Expression(expression), "<shown>", "eval"), names))
    except (ProgramLostError, TestsFaultError):
        raise
    except BaseException as exception:
        return f"raised {type(exception).__name__}"


def canonical(value: Any) -> str:
    """A text that plain values share if they are equal: 1, 1.0 and True do, (1,) and [1] do not."""
    match value:
        case bool() | int() | float() | complex() | Fraction() | Decimal():
            return _number(value)
        case str():
            return f"s{value!r}"
        case bytes() | bytearray():
            return repr(bytes(value))
        case list():
            return f"[{','.join(map(canonical, value))}]"
        case tuple():
            return f"({','.join(map(canonical, value))})"
        case deque():
            return f"deque{canonical(list(value))}"
        case dict():
            items = sorted(f"{canonical(key)}:{canonical(item)}" for key, item in value.items())
            return f"dict{{{','.join(items)}}}"
        case set() | frozenset() | KeysView() | ItemsView():
            return f"{{{','.join(sorted(map(canonical, value)))}}}"
        case Remote():
            return "an object"
    return repr(value)  # None, ranges, types, dates


def _number(value: complex | Fraction | Decimal) -> str:
    if isinstance(value, complex):
        return _number(value.real) if not value.imag else f"complex({_number(value.real)},{_number(value.imag)})"
    try:
        numerator, denominator = value.as_integer_ratio()
    except (OverflowError, ValueError):  # infinite, or not a number
        return repr(float(value))
    return f"{numerator:x}/{denominator:x}"  # in decimal, Python refuses integers of many digits
