"""Runs a coroutine to its end, also where an event loop already runs in this thread, as in a notebook."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """What asyncio.run gives. Where a loop runs in this thread, another thread has a loop for the work meanwhile.

    Ctrl-C cancels the work in both cases, and KeyboardInterrupt is raised when it has stopped.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    started: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def watched() -> T:
        current = asyncio.current_task()
        if current:
            started.append((current.get_loop(), current))
        return await work

    with ThreadPoolExecutor(1, "event loop") as thread:  # waits at its end until the work has stopped
        result = thread.submit(copy_context().run, asyncio.run, watched())
        try:
            return result.result()
        except KeyboardInterrupt:
            for loop, task in started:
                loop.call_soon_threadsafe(task.cancel)
            raise
