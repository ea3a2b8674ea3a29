"""Finds tasks, methods and engines by name: built in, or from an entry point of another package."""

from __future__ import annotations

import difflib
from importlib.metadata import entry_points
from typing import Any, Literal

from scorebench.api.errors import UserError

Kind = Literal["task", "method", "engine"]


def names(kind: Kind) -> list[str]:
    """All registered names of a kind, sorted."""
    return sorted({entry.name for entry in entry_points(group=f"scorebench.{kind}s")})


def find(kind: Kind, name: str) -> Any:
    """The registered object; it follows the protocol of its kind in protocols.py."""
    for entry in entry_points(group=f"scorebench.{kind}s"):
        if entry.name == name:
            return entry.load()
    close = difflib.get_close_matches(name, names(kind), n=1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(names(kind))}."
    raise UserError(f"There is no {kind} {name!r}; {hint}")
