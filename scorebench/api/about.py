"""What a registered task or method says about itself, in one line, for lists.

Those of scorebench are read from their source, because to import a training method takes seconds: it imports torch.
"""

from __future__ import annotations

import ast
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from scorebench.api import registry


def about(kind: registry.Kind, name: str) -> str:
    """The `about` of a registered object; where it has none, the first line of its module's docstring.

    Raises UserError where the object is broken (see registry.find).
    """
    entry = registry.entry_of(kind, name)
    if registry.package_of(entry) == registry.OWN:
        module = _source(entry.module)
        text = _about_in(module, entry.attr) or ast.get_docstring(module)
    else:
        found = registry.find(kind, name)
        text = getattr(found, "about", None) or sys.modules[type(found).__module__].__doc__
    return (text or "").strip().partition("\n")[0]


@cache
def _source(module: str) -> ast.Module:
    spec = find_spec(module)
    return ast.parse(Path((spec and spec.origin) or "").read_text(encoding="utf-8"))


def _about_in(module: ast.Module, name: str) -> str | None:
    """The about of `name = Class(..., about="...")`, else the default in the class: `about: str = "..."`."""
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name and isinstance(node.value, ast.Call):
            given = [keyword.value for keyword in node.value.keywords if keyword.arg == "about"]
            return _text(given[0]) if given else _default_in(module, ast.unparse(node.value.func))
    return None


def _default_in(module: ast.Module, class_name: str) -> str | None:
    classes = [node for node in module.body if isinstance(node, ast.ClassDef) and node.name == class_name]
    for field in (node for found in classes for node in found.body if isinstance(node, ast.AnnAssign)):
        if ast.unparse(field.target) == "about" and field.value:
            return _text(field.value)
    return None


def _text(node: ast.expr) -> str:
    return ast.literal_eval(node)
