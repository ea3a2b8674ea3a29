"""What a problem's tests need, read from their text alone: the program has no say in how it is graded."""

from __future__ import annotations

import ast
import builtins
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from scorebench.grading.code.python_text import syntax_tree
from scorebench.grading.code.rpc_client import TestsFaultError


@dataclass(frozen=True)
class Tests:
    """Tests as given, read but not run.

    check: the text defines `check(candidate)`; else it is statements that call the entry point by name.
    entry: the names that are the program's to answer for.
    helpers: other names that the tests use and only the program can supply.
    modules: names of the standard library's modules that the tests use without importing them.
    types: the tests hand type objects to the program.
    """

    __test__ = False

    setup: ast.Module
    statements: tuple[ast.Module, ...]
    check: bool
    entry: str
    helpers: frozenset[str]
    modules: frozenset[str]
    types: bool

    @property
    def classes(self) -> bool:
        """Whether the tests are about a class: they use names of the program, or the entry point is named as one."""
        return bool(self.helpers) or self.entry[:1].isupper()

    @property
    def rule(self) -> str:
        """What decided, and a flag for each thing that the verdict rests on beside the entry point's answers."""
        flags = [(self.helpers, "program-names"), (self.modules, "modules"), (self.types, "types")]
        return "+".join(["check" if self.check else "asserts", *(name for present, name in flags if present)])


def read_tests(tests: list[str] | str, setup: str, entry_point: str | None) -> Tests:
    """Find out what the tests need; TestsFaultError if they cannot be run."""
    try:
        setup_tree = syntax_tree(setup)
        trees = [syntax_tree(text) for text in ([tests] if isinstance(tests, str) else tests)]
    except (SyntaxError, ValueError) as fault:
        raise TestsFaultError(f"the tests cannot be read: {fault}") from None
    if not any(tree.body for tree in trees):
        raise TestsFaultError("there are no tests")
    if missing := _missing_module([setup_tree, *trees]):
        raise TestsFaultError(f"the tests import {missing}, which is not installed for them")
    check = any(isinstance(node, ast.FunctionDef) and node.name == "check" for tree in trees for node in tree.body)
    if check:
        called_with = [_drop_check_calls(tree) for tree in trees]
        entry_point = entry_point or next((name for name in called_with if name), None)
    nodes = [node for tree in trees for node in ast.walk(tree)]  # of each text breadth first
    used, own = _names([*ast.walk(setup_tree), *nodes])
    free = used - own - set(dir(builtins))
    modules = frozenset(name for name in free if name in sys.stdlib_module_names and _only_attributes(name, nodes))
    free -= modules
    if entry_point is None and not check:
        entry_point = _outermost_call(nodes, free)
    if entry_point is None:
        raise TestsFaultError("the tests do not say which function they test: give the entry point")
    type_names = {"int", "float", "str", "bool", "list", "tuple", "dict", "set", "complex", "bytes"}
    types = any(
        isinstance(argument, ast.Name) and argument.id in type_names - own
        for call in nodes
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in (entry_point, "candidate")
        for argument in call.args
    )
    if check and "check" in used:
        free |= {"check"}  # inside check, that name is a function of the program's (MBPP/56, 349), not check itself
    helpers = frozenset(free - {entry_point})
    return Tests(setup_tree, tuple(trees), check, entry_point, helpers, modules - {entry_point}, types)


def tested_names(tests: Sequence[str] | str, setup: str) -> list[str]:
    """The names that a program must define, the entry point first; empty where the tests do not say."""
    try:
        read = read_tests(tests if isinstance(tests, str) else list(tests), setup, None)
    except TestsFaultError:
        return []
    return [read.entry, *sorted(read.helpers)]


def _missing_module(trees: list[ast.Module]) -> str | None:
    """A module that the tests import and that is not there."""
    for node in (node for tree in trees for node in tree.body):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            if importlib.util.find_spec(name.partition(".")[0]) is None:
                return name
    return None


def _drop_check_calls(tree: ast.Module) -> str | None:
    """Remove the calls of check at the end of a text, which the test runner makes itself; the name that they pass."""
    name = None
    for node in list(tree.body):
        match node:
            case ast.Expr(value=ast.Call(func=ast.Name(id="check"), args=[ast.Name(id=name)])):
                tree.body.remove(node)
    return name


def _names(nodes: list[ast.AST]) -> tuple[set[str], set[str]]:
    """Names that are read anywhere, and names that are bound anywhere."""
    used: set[str] = set()
    own: set[str] = set()
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                used.add(name)
            case ast.Name(id=name) | ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                own.add(name)
            case ast.alias(name=name, asname=alias):
                own.add(alias or name.partition(".")[0])
            case ast.ExceptHandler(name=str(name)):
                own.add(name)
    return used, own


def _only_attributes(name: str, nodes: list[ast.AST]) -> bool:
    """Whether a name is used for its attributes only, as a module's is."""
    reads = sum(isinstance(node, ast.Name) and node.id == name for node in nodes)
    bases = sum(isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == name for n in nodes)
    return reads == bases > 0


def _outermost_call(nodes: list[ast.AST], free: set[str]) -> str | None:
    """The function that the tests test: the first name called that nothing else defines.

    Where every called name is a builtin, a builtin is what the program was asked to define (MBPP/126 defines sum).
    """
    called = [
        node.func.id
        for node in nodes  # breadth first, so the outermost comes first
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    return next((name for name in called if name in free), next(iter(called), None))
