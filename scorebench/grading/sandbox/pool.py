"""Grading slots, and what confines the candidates in them.

A slot is a small process tree (supervisor.py) that is started once and makes a fresh process for every candidate.
`grade_job` may be called from several threads at once; each takes a slot, and there are as many slots as processors
unless `configure` says otherwise.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import select
import socket
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scorebench.api.errors import UserError
from scorebench.grading.sandbox import codec, frames
from scorebench.grading.sandbox.linux import LINUX, Limits
from scorebench.grading.sandbox.processes import FaultError
from scorebench.grading.sandbox.supervisor import FAULT

TIERS = ("full", "confined", "partial", "limits")  # strongest first
_ALWAYS = ("memory", "processor time", "wall time", "output", "number of threads")
LIBRARIES = ("numpy",)  # what a program may import beside Python's own library, where it is installed
_START_SECONDS = 60.0
_MARGIN_SECONDS = 180.0  # beyond the candidate's own time: for the test runner, and for a loaded machine
TIER_VARIABLE = "SCOREBENCH_SANDBOX"
# The module that runs the tests stands above the sandbox; a slot is told its name and imports it when it starts.
_TESTS_MODULE = "scorebench.grading.code.test_runner"
# A job that any sandbox in order passes.
CONTROL = {
    "asks": "verdict",
    "program": "def solution(x):\n    return x + 1\n",
    "tests": ["assert solution(1) == 2"],
    "setup": "",
    "entry_point": "solution",
}
GRADERS_LOST = "graders-lost"  # the rule of a fail for a program that twice left nobody to give its verdict
_PACKAGE_ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Tier:
    """What this machine enforces on candidates, as tried out by one of them when the first slot started.

    name: "full" (seccomp, Landlock and namespaces), "confined" (no namespaces, as in many containers), "partial"
        (seccomp alone, or Landlock with namespaces), "limits" (less; runs only when asked for by name).
    mechanisms: the kernel's means in use.
    enforced, missing: what a candidate cannot do here, and what it could.
    """

    name: str
    mechanisms: tuple[str, ...]
    enforced: tuple[str, ...]
    missing: tuple[str, ...]


class Slot:
    """One supervisor process and the socket to it.

    withhold: mechanisms not to use though the kernel has them ("seccomp", "landlock", "namespaces", "pids"); for tests
        of the weaker tiers.
    """

    def __init__(self, withhold: frozenset[str] = frozenset()) -> None:
        self._socket, theirs = socket.socketpair()
        self._socket.setblocking(False)
        start = (
            f"# a slot of runner {os.getpid()}\n"
            f"import sys; sys.path.append({str(_PACKAGE_ROOT)!r}); "
            f"from scorebench.grading.sandbox.supervisor import main; "
            f"sys.path.pop(); main({theirs.fileno()}, {_TESTS_MODULE!r}, {sorted(withhold)!r}, {_library_folders()!r})"
        )
        # No site-packages; the same hash seed every time, so that a program's verdict does not depend on set order.
        command = [sys.executable, "-P", "-s", "-S", "-B", "-c", start]
        environment = {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "OPENBLAS_NUM_THREADS": "1"}
        environment["MALLOC_ARENA_MAX"] = "2"  # else each thread takes 64 MiB of the candidate's address space
        with theirs:
            self._process = subprocess.Popen(
                command,
                env=environment,
                cwd="/",
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # no terminal: neither its Ctrl-C nor its input
            )
        try:
            self.protection: dict[str, Any] = self._receive(_START_SECONDS)
        except FaultError:
            self.close()
            raise

    def grade(self, job: bytes, seconds: float) -> dict[str, Any]:
        """The supervisor's answer to an encoded job; FaultError if there is none in that time."""
        try:
            frames.send(self._socket.fileno(), job, lambda: self._wait(select.POLLOUT, seconds))
        except OSError as fault:
            raise FaultError(f"the supervisor is gone: {fault}") from None
        return self._receive(seconds)

    def _receive(self, seconds: float) -> dict[str, Any]:
        try:
            return codec.decode(frames.receive(self._socket.fileno(), lambda: self._wait(select.POLLIN, seconds)))
        except OSError as fault:
            raise FaultError(f"the supervisor is gone: {fault}") from None

    def _wait(self, event: int, seconds: float) -> None:
        poll = select.poll()
        poll.register(self._socket, event)
        if not poll.poll(seconds * 1000):
            raise FaultError(f"the supervisor said nothing for {seconds:g} s")

    def close(self) -> None:
        """End the slot's processes, all of them."""
        self._socket.close()
        try:
            self._process.wait(_START_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __del__(self) -> None:
        self._socket.close()


class SandboxPool:
    """Slots, made when first needed and shared by threads."""

    def __init__(self, slots: int, withhold: frozenset[str] = frozenset()) -> None:
        self._withhold = withhold
        self._free = threading.BoundedSemaphore(slots)
        self._lock = threading.Lock()
        self._idle: list[Slot] = []
        self._tier: Tier | None = None

    def tier(self) -> Tier:
        """What confines candidates here; the first call starts a slot."""
        if self._tier is None:
            with self._free:
                self._put_back(self._take())
        assert self._tier is not None
        return self._tier

    def grade(self, job: dict[str, Any], limits: Limits) -> dict[str, Any]:
        """The answer of a slot to a job. A fault is tried once more, on a new slot.

        A program that ends its test runner or its supervisor must not get out of its verdict by that. So after the
        second fault the control is run: where the sandbox fails on a known-good program too, it is the sandbox's fault
        and an "error", else it is the program's and a "fail".
        """
        try:
            message = _encoded(job, limits)
        except codec.NotPlainError as fault:
            return _error(f"the tests cannot be sent: {fault}")
        seconds = limits.wall_seconds + _MARGIN_SECONDS
        with self._free:
            answer = self._grade_once(message, seconds)
            if answer["rule"] == FAULT:
                answer = self._grade_once(message, seconds)
            if answer["rule"] == FAULT and self._grade_once(_encoded(CONTROL, Limits()), seconds)["outcome"] == "pass":
                why = f"this program ended its graders twice, and a known-good one did not ({answer['detail']})"
                return {"outcome": "fail", "rule": GRADERS_LOST, "detail": why}
            return answer

    def _grade_once(self, job: bytes, seconds: float) -> dict[str, Any]:
        slot = None
        try:
            slot = self._take()
            answer = slot.grade(job, seconds)
            if answer["rule"] != FAULT:
                self._put_back(slot)
                slot = None
            return answer
        except (FaultError, OSError, codec.NotPlainError) as fault:
            return _error(fault)
        finally:
            if slot is not None:
                slot.close()

    def _take(self) -> Slot:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        slot = Slot(self._withhold)
        self._tier = _tier_of(slot.protection)
        return slot

    def _put_back(self, slot: Slot) -> None:
        with self._lock:
            self._idle.append(slot)

    def close(self) -> None:
        """End all idle slots. A slot that grades at the moment ends with the runner."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()


def _encoded(job: dict[str, Any], limits: Limits) -> bytes:
    return codec.encode({**job, "limits": asdict(limits)})


def _error(fault: object) -> dict[str, Any]:
    return {"outcome": "error", "rule": FAULT, "detail": f"sandbox: {fault}"}


def _library_folders() -> list[str]:
    specs = [importlib.util.find_spec(name) for name in LIBRARIES]
    return [spec.submodule_search_locations[0] for spec in specs if spec and spec.submodule_search_locations]


def _tier_of(protection: dict[str, Any]) -> Tier:
    mechanisms = tuple(name for name, used in protection["mechanisms"].items() if used)
    if {"seccomp", "landlock"} <= set(mechanisms):
        name = "full" if "namespaces" in mechanisms else "confined"
    else:
        # Landlock alone lets a candidate signal every process of its user; namespaces alone let it read every file.
        name = "partial" if "seccomp" in mechanisms or len(mechanisms) == 2 else "limits"
    refused = protection["refused"]
    enforced = (*_ALWAYS, *(what for what in protection["tried"] if what in refused))
    missing = tuple(what for what in protection["tried"] if what not in refused)
    return Tier(name, mechanisms, enforced, missing)


_pool: SandboxPool | None = None
_pool_lock = threading.Lock()


def configure(slots: int | None = None, withhold: frozenset[str] = frozenset()) -> None:
    """Use so many slots from now on (as many as processors for None), without the withheld mechanisms."""
    global _pool
    with _pool_lock:
        if _pool is not None:
            _pool.close()
        _pool = SandboxPool(slots or len(os.sched_getaffinity(0)), withhold)


def _shared_pool() -> SandboxPool:
    global _pool
    with _pool_lock:
        if _pool is None:
            _pool = SandboxPool(len(os.sched_getaffinity(0)))
        return _pool


def tier() -> Tier:
    """What this machine enforces on candidates: for the run's record."""
    return _shared_pool().tier()


def grade_job(job: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """Have a job graded: {"program", "tests", "setup", "entry_point"} to {"outcome", "rule", "detail"}.

    Raises UserError where only the weakest tier is to be had and nobody asked for it by name.
    """
    if not LINUX:
        raise UserError("grading programs needs Linux: run this in a container or in a virtual machine")
    pool = _shared_pool()
    try:
        weakest = pool.tier().name == "limits"
    except (FaultError, OSError) as fault:
        return _error(fault)
    if weakest and os.environ.get(TIER_VARIABLE) != "limits":
        raise UserError(
            f"this machine can set resource limits on a candidate program but cannot confine it (no seccomp, and "
            f"Landlock or namespaces are missing); run in a container of your own and set {TIER_VARIABLE}=limits to "
            f"grade there all the same"
        )
    return pool.grade(job, limits)


def _forget() -> None:
    """A forked copy of the runner must not talk on its parent's sockets."""
    global _pool, _pool_lock
    _pool, _pool_lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
atexit.register(lambda: _pool.close() if _pool is not None else None)
