"""Small acts on processes that the slot's processes share."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from typing import Any


class FaultError(Exception):
    """Something of ours failed: no verdict about the program."""


def fork(life: Callable[[], Any]) -> int:
    """Start a child that lives as told and then ends, without ever returning here."""
    child = os.fork()
    if child == 0:
        try:
            life()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return child


def close_all_but(*descriptors: int | None) -> None:
    """Close every descriptor beyond the standard three, but for these."""
    start = 3
    for descriptor in sorted(fd for fd in descriptors if fd is not None):
        os.closerange(start, descriptor)
        start = descriptor + 1
    os.closerange(start, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def succeeds(action: Callable[[], Any]) -> bool:
    """Whether the system allows an action."""
    try:
        action()
    except OSError:
        return False
    return True
