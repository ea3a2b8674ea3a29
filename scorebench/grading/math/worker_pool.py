"""Killable worker processes, for code of ours that may hang or die on the input it is given.

A call has a deadline in wall-clock time. At the deadline its worker is killed, whatever it is doing, and another is
started in its place. A worker is a fresh interpreter: it is never forked from this process, which may hold torch,
threads and locks. It imports its heavy modules once and then serves one call after another.

This is no sandbox. The functions are trusted; only the values they work on are not.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
import weakref
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import Any, TypeVar

if sys.platform != "win32":
    import resource

Result = TypeVar("Result")

# How long a worker may take to import its modules on a busy machine, in seconds. It is no part of a call's deadline.
START_SECONDS = 60.0
# How long a worker whose parent has died may compute beyond its deadline, in seconds.
ORPHAN_GRACE_SECONDS = 1.0


class PoolError(Exception):
    """A call that gave no result. Never a statement about the value that it was given."""


class WorkerTimeout(PoolError):  # noqa: N818
    """The call was not done at its deadline. Its worker was killed."""


class WorkerDied(PoolError):  # noqa: N818
    """The worker's process ended during the call or its imports, and so did the fresh one on which it was tried again.

    seconds: how long the call had computed.
    """

    def __init__(self, message: str, seconds: float = 0.0) -> None:
        super().__init__(message)
        self.seconds = seconds


class CallFailed(PoolError):  # noqa: N818
    """The function raised. The message is the worker's traceback."""


class WorkerPool:
    """A few worker processes that any number of threads may call.

    preload: names of the modules that a worker imports before its first call.
    workers: how many processes; by default one a core that this process may use, and at most four. All of them are
        started at the first call.
    memory_bytes: the address space of one worker. A worker that needs more dies (on Linux; elsewhere no limit).

    A pool does not survive fork(): a forked child makes its own.
    """

    def __init__(self, preload: tuple[str, ...] = (), workers: int | None = None, memory_bytes: int = 2 << 30) -> None:
        self._preload = preload
        self._memory_bytes = memory_bytes
        self._count = workers or min(4, usable_cores())
        self._idle: deque[_Worker] = deque()
        self._freed = threading.Condition()
        self._started = False
        self._living: set[_Worker] = set()
        self._finalizer = weakref.finalize(self, _kill_all, self._living)

    def call(self, function: Callable[..., Result], *args: Any, timeout: float) -> Result:
        """function(*args), computed in a worker; function is a module's own, args and result are picklable.

        timeout: seconds for the computation, the second try of a call whose worker died included. The wait for a
            free worker and for its imports is not counted.

        Raises WorkerTimeout, WorkerDied, or CallFailed if the function raised.
        """
        try:
            return self._try(function, args, timeout)
        except WorkerDied as death:
            return self._try(function, args, max(0.0, timeout - death.seconds))

    def _try(self, function: Callable[..., Result], args: tuple[Any, ...], timeout: float) -> Result:
        worker = self._take()
        started = time.monotonic()
        try:
            succeeded, result = worker.run(function, args, timeout)
        except (EOFError, OSError) as error:
            status = self._replace(worker, grace=1.0)
            reason = f"{function.__name__}: its worker ended with status {status}"
            raise WorkerDied(reason, time.monotonic() - started) from error
        except BaseException:  # a timeout or Ctrl-C: the worker is still computing
            self._replace(worker)
            raise
        self._give_back(worker)
        if not succeeded:
            raise CallFailed(result)
        return result

    def close(self) -> None:
        """Kills the workers. The next call starts new ones."""
        with self._freed:
            _kill_all(self._living)
            self._idle.clear()
            self._started = False

    def _take(self) -> _Worker:
        """A free worker that is past its start; blocks while all are busy. WorkerDied if it could not start."""
        with self._freed:
            if not self._started:
                self._idle.extend(self._spawn() for _ in range(self._count))
                self._started = True
            self._freed.wait_for(lambda: self._idle)
            for dead in [worker for worker in self._idle if worker.has_died()]:
                self._idle.remove(dead)
                self._replace(dead)
            worker = next((w for w in self._idle if w.is_ready(0)), self._idle[0])
            self._idle.remove(worker)
        if not worker.is_ready(START_SECONDS):
            self._replace(worker)
            raise WorkerDied(f"a worker did not start: {worker.start_error or 'it ended, or took too long'}")
        return worker

    def _give_back(self, worker: _Worker) -> None:
        with self._freed:
            if worker in self._living:
                self._idle.append(worker)
                self._freed.notify()
            else:  # the pool was closed meanwhile
                worker.kill()

    def _replace(self, worker: _Worker, grace: float = 0.0) -> int:
        """Kills a worker and starts another in its place; the exit status of the old one."""
        status = worker.kill(grace)
        with self._freed:
            if worker in self._living:
                self._living.remove(worker)
                self._idle.append(self._spawn())
                self._freed.notify()
        return status

    def _spawn(self) -> _Worker:
        worker = _Worker(self._preload, self._memory_bytes)
        self._living.add(worker)
        return worker


def usable_cores() -> int:
    """The cores that this process may run on, which may be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _kill_all(workers: set[_Worker]) -> None:
    while workers:
        workers.pop().kill()


class _Worker:
    """The parent's end of one worker process."""

    def __init__(self, preload: tuple[str, ...], memory_bytes: int) -> None:
        self._connection, theirs = Pipe()
        self._ready = False
        self.start_error = ""
        # The worker imports what the parent would import, from the same places.
        program = f"import sys; sys.path[:] = {sys.path!r}\nfrom {__name__} import _serve\n"
        program += f"_serve({theirs.fileno()}, {preload!r}, {memory_bytes})"
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", program],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                process_group=0,  # Ctrl-C is for the parent alone, and a kill takes the worker's own children along
            )

    def is_ready(self, wait: float) -> bool:
        """Whether the worker has finished its imports, after at most `wait` seconds."""
        if not self._ready and not self.start_error:
            with contextlib.suppress(EOFError, OSError):  # it died: it never gets ready
                if self._connection.poll(wait):
                    self.start_error = self._connection.recv()
                    self._ready = not self.start_error
        return self._ready

    def has_died(self) -> bool:
        return self._process.poll() is not None

    def run(self, function: Callable[..., Any], args: tuple[Any, ...], timeout: float) -> tuple[bool, Any]:
        """(True, result), or (False, traceback); EOFError or OSError if the worker has ended."""
        self._connection.send((function, args, timeout))
        if not self._connection.poll(timeout):
            raise WorkerTimeout(f"{function.__name__} was not done after {timeout:.3g} s")
        return self._connection.recv()

    def kill(self, grace: float = 0.0) -> int:
        """Ends the worker, and its own children if they still live; its exit status, as subprocess has it.

        grace: seconds to let it finish an end that it has begun by itself, for the sake of the true status.
        """
        self._connection.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace)
        with contextlib.suppress(ProcessLookupError):  # nobody is left
            os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()


def _serve(descriptor: int, preload: tuple[str, ...], memory_bytes: int) -> None:
    """The worker's life: import, then answer calls until the parent closes the pipe or dies.

    While idle it sees the parent's death as the end of the pipe. While it computes, an alarm without a handler is
    set, so that the kernel ends it soon after its deadline even if nobody is left to kill it.
    """
    if sys.platform == "linux":
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        soft = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    with Connection(descriptor) as connection:
        try:
            for name in preload:
                importlib.import_module(name)
        except Exception:
            connection.send(traceback.format_exc())
            return
        connection.send("")
        with contextlib.suppress(EOFError, OSError):  # the parent is gone, and nobody is left to tell
            while True:
                connection.send_bytes(_answer(connection.recv_bytes()))


def _answer(request: bytes) -> bytes:
    """One call, computed: (True, result) or (False, traceback), pickled."""
    try:
        function, args, timeout = pickle.loads(request)
        signal.setitimer(signal.ITIMER_REAL, timeout + ORPHAN_GRACE_SECONDS)
        return pickle.dumps((True, function(*args)))
    except MemoryError:
        os._exit(1)  # what is left of the heap is not to be trusted with the next call
    except Exception:
        return pickle.dumps((False, traceback.format_exc()))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
