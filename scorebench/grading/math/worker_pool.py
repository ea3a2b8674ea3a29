"""Killable worker processes, for code of ours that may hang, swell or die on the input that it is given.

A call has a limit of processor time, which the kernel keeps (ITIMER_PROF): on a busy machine a call takes longer and
has the same result. A worker is a fresh interpreter: it is never forked from this process, which may hold torch, locks
and threads. It imports its heavy modules once and then serves one call after another. An idle worker whose parent has
died sees the end of its pipe; a computing one has its limit to live.

Why not `pebble` (tried under Python 3.11): its limits are of wall time; under the start methods "spawn" and
"forkserver" its workers run the user's main script again, so that a script without an `if __name__` guard ends in
"All workers expired"; and a program that ends soon after a worker was killed prints a traceback. A round trip takes it
0.17 to 0.21 ms, ours 0.11 ms.

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
import traceback
import weakref
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import Any, TypeVar

if sys.platform != "win32":
    import resource

Result = TypeVar("Result")

# Wall time in seconds after which a worker that has neither answered nor used up its processor time counts as dead.
WALL_SECONDS = 300.0


class PoolError(Exception):
    """A call that gave no result."""


class TooSlow(PoolError):  # noqa: N818
    """The call used up its processor time. Its worker was killed."""


class WorkerDied(PoolError):  # noqa: N818
    """The worker's process ended during the call or its imports."""


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
        self._living: set[_Worker] = set()
        self._finalizer = weakref.finalize(self, _kill_all, self._living)

    def call(self, function: Callable[..., Result], *args: Any, seconds: float) -> Result:
        """function(*args), computed in a worker; function is a module's own, args and result are picklable.

        seconds: the processor time that the computation may take. The wait for a free worker, and the worker's start,
            are not counted.

        Raises TooSlow, WorkerDied, or CallFailed if the function raised.
        """
        worker = self._take()
        try:
            succeeded, result = worker.run(function, args, seconds)
        except BaseException:  # the worker has ended; or, with Ctrl-C, it is still computing
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

    def _take(self) -> _Worker:
        """A free worker that has made its imports; blocks while all are busy."""
        with self._freed:
            for dead in [worker for worker in self._idle if worker.has_died()]:
                self._idle.remove(dead)
                self._living.remove(dead)
                dead.kill()
            while len(self._living) < self._count:
                self._idle.append(self._spawn())
            self._freed.wait_for(lambda: self._idle)
            worker = next((w for w in self._idle if w.is_ready(0)), self._idle[0])
            self._idle.remove(worker)
        try:
            worker.wait_until_ready()
        except BaseException:
            self._replace(worker)
            raise
        return worker

    def _give_back(self, worker: _Worker) -> None:
        with self._freed:
            if worker in self._living:
                self._idle.append(worker)
                self._freed.notify()
            else:  # the pool was closed meanwhile
                worker.kill()

    def _replace(self, worker: _Worker) -> None:
        """Kills a worker and starts another in its place."""
        worker.kill()
        with self._freed:
            if worker in self._living:
                self._living.remove(worker)
                self._idle.append(self._spawn())
                self._freed.notify()

    def _spawn(self) -> _Worker:
        worker = _Worker(self._preload, self._memory_bytes)
        self._living.add(worker)
        return worker


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _kill_all(workers: set[_Worker]) -> None:
    while workers:
        workers.pop().kill()


class _Worker:
    """The parent's end of one worker process."""

    def __init__(self, preload: tuple[str, ...], memory_bytes: int) -> None:
        self._connection, theirs = Pipe()
        self._ready = False
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
        """Whether the worker has something to say after at most `wait` seconds; after its start, whether it started."""
        return self._ready or self._connection.poll(wait)

    def has_died(self) -> bool:
        return self._process.poll() is not None

    def wait_until_ready(self) -> None:
        """Returns when the worker has made its imports; raises WorkerDied if it cannot."""
        if self._ready:
            return
        try:
            error = self._connection.recv() if self._connection.poll(WALL_SECONDS) else "it took too long"
        except (EOFError, OSError):
            error = self._end()
        if error:
            raise WorkerDied(f"a worker did not start: {error}")
        self._ready = True

    def run(self, function: Callable[..., Any], args: tuple[Any, ...], seconds: float) -> tuple[bool, Any]:
        """(True, result), or (False, traceback). Raises TooSlow or WorkerDied if the worker has ended."""
        name = function.__name__
        try:
            self._connection.send((function, args, seconds))
            if self._connection.poll(WALL_SECONDS + 10 * seconds):
                return self._connection.recv()
            raise WorkerDied(f"{name}: its worker gave no answer")
        except (EOFError, OSError) as error:
            if self._end() == f"status {-signal.SIGPROF}":
                raise TooSlow(f"{name} was not done after {seconds:.3g} s of processor time") from error
            raise WorkerDied(f"{name}: its worker ended with {self._end()}") from error

    def _end(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):  # its pipe is closed: it is about to end
            self._process.wait(5)
        return f"status {self._process.poll()}"

    def kill(self) -> None:
        """Ends the worker, and its own children if they still live."""
        self._connection.close()
        with contextlib.suppress(ProcessLookupError):  # nobody is left
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _serve(descriptor: int, preload: tuple[str, ...], memory_bytes: int) -> None:
    """The worker's life: import, then answer calls until the parent closes the pipe or dies."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
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
    """One call, computed: (True, result) or (False, traceback), pickled. SIGPROF ends the process at the limit."""
    try:
        function, args, seconds = pickle.loads(request)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        return pickle.dumps((True, function(*args)))
    except MemoryError:
        os._exit(1)  # what is left of the heap is not to be trusted with the next call
    except Exception:
        return pickle.dumps((False, traceback.format_exc()))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
