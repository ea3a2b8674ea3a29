"""Programs: found in replies, and run against tests in the sandbox."""

from __future__ import annotations

from typing import Any

__all__ = ["grade"]


def __getattr__(name: str) -> Any:
    # Imported when asked for: the processes of the sandbox import this package, and must stay small.
    if name in __all__:
        from scorebench.grading.code.grader import grade

        return grade
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
