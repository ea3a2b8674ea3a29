"""Answers: read from replies, and compared with a reference."""

from __future__ import annotations

from typing import Any

__all__ = ["grade", "same_answer"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from scorebench.grading.math import grader

        return getattr(grader, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
