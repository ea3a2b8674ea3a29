"""One grading slot: a small process tree that the runner talks to over one socket.

    runner                    any process, with torch and threads
      supervisor              trusted, no torch, one thread, one job at a time
        test runner           trusted: runs the tests; ends, and is replaced, when its memory has grown
        fork server           never sees a test; first process of its own namespaces where the kernel has them
          candidate           fresh for every job: runs the program

The candidate is forked from a process that never held a test, so there is nothing to find in its memory. The supervisor
ends when the runner does, on kill -9 too; test runner and fork server end when the supervisor does; and with the first
process of a process namespace the kernel ends all others in it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from scorebench.grading.sandbox import codec, fork_server, frames, linux
from scorebench.grading.sandbox.linux import Limits
from scorebench.grading.sandbox.processes import FaultError, close_all_but, fork, succeeds
from scorebench.grading.sandbox.tasks_limit import MAX_TASKS, tasks_below

PROCESS_ENDED = "the program's process ended"
FAULT = "sandbox"  # the rule of a verdict that there is none, because something of ours failed
_GROWTH_BYTES = 32 * 2**20  # of the test runner's memory, before it is replaced
_LOOK_SECONDS = 0.25
_MARGIN_SECONDS = 60.0  # beyond the candidate's own time: for the test runner's, and for a loaded machine


class RunnerGoneError(Exception):
    """Nobody waits for a verdict any more."""


RunTests = Callable[[socket.socket, dict[str, Any]], dict[str, str]]


def main(runner: int, tests_module: str, withhold: list[str], libraries: list[str]) -> None:
    """Serve the runner at this socket until it is gone. Before anything else, say what confines the candidates.

    tests_module: the module whose function `run_tests(channel, job)` runs the tests.
    """
    server = fork_server.start(withhold, libraries)
    linux.be_opaque()
    gc.collect()
    gc.freeze()
    frames.send(runner, codec.encode(server.protection))
    sys.path += {os.path.dirname(library): None for library in libraries}  # tests may import them too
    supervisor = _Supervisor(runner, server, importlib.import_module(tests_module).run_tests)
    with contextlib.suppress(frames.ClosedError, RunnerGoneError):
        supervisor.serve()
    supervisor.dismiss_test_runner()
    server.socket.close()
    while succeeds(os.wait):  # the fork server, which ends because its supervisor is gone
        pass
    if server.group is not None:
        server.group.remove()


class _Supervisor:
    def __init__(self, runner: int, server: fork_server.ForkServer, run_tests: RunTests) -> None:
        self.runner, self.server, self.run_tests = runner, server, run_tests
        self.parent = os.getppid()
        self.test_runner: tuple[int, socket.socket] | None = None  # process and socket

    def serve(self) -> None:
        """Answer jobs until the runner is gone, or until a fault: a slot that had one is not used again."""
        fault = False
        while not fault:
            self._wait_for(self.runner)
            job = codec.decode(frames.receive(self.runner))
            try:
                answer = self._grade(job)
            except RunnerGoneError:
                raise
            except Exception as problem:
                fault = True
                said = str(problem) if isinstance(problem, FaultError | OSError) else repr(problem)
                answer = {"outcome": "error", "rule": FAULT, "detail": f"sandbox: {said}"}
            frames.send(self.runner, codec.encode(answer))

    def _grade(self, job: dict[str, Any]) -> dict[str, str]:
        """The verdict of one job. Whatever happens, nothing of its candidate is left afterwards."""
        ours, theirs = socket.socketpair()
        with ours:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)  # the candidate's first message says who it is
            with theirs:
                socket.send_fds(self.server.socket, [codec.encode(job["limits"])], [theirs.fileno()])
            forked = self.server.socket.recv(1024)
            verdict = None
            try:
                if forked == fork_server.FORKED:
                    verdict = self._tested(job, ours)
            finally:
                self.server.socket.send(b"e")
                ending = self.server.socket.recv(1024)
        if verdict is None:
            raise FaultError(forked.decode() or "the fork server is gone")
        if verdict["outcome"] == "unready":
            raise FaultError(verdict["detail"])
        if verdict["detail"] == PROCESS_ENDED:
            status, seconds = codec.decode(ending)
            verdict["detail"] += f": {_how_it_ended(status, seconds, Limits(**job['limits']))}"
        return verdict

    def _tested(self, job: dict[str, Any], channel: socket.socket) -> dict[str, str]:
        """The test runner's verdict; one that an answer has kept busy for too long is ended by the kernel."""
        if self.test_runner is None:
            self.test_runner = self._new_test_runner()
        _, to_runner = self.test_runner
        try:
            socket.send_fds(to_runner, [b"j"], [channel.fileno()])
            frames.send(to_runner.fileno(), codec.encode(job))
            if why := self._wait_for(to_runner.fileno(), job["limits"]["wall_seconds"] + _MARGIN_SECONDS):
                self.dismiss_test_runner()
                return {"outcome": "fail", "rule": "", "detail": why}
            verdict = codec.decode(frames.receive(to_runner.fileno()))
        except frames.ClosedError:
            status = self.dismiss_test_runner()
            if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
                return {"outcome": "fail", "rule": "", "detail": "comparing the program's answers took too long"}
            raise FaultError(f"the test runner ended without a verdict (wait status {status})") from None
        if verdict.pop("retires") == "yes":
            self.dismiss_test_runner()
        return verdict

    def _new_test_runner(self) -> tuple[int, socket.socket]:
        ours, theirs = socket.socketpair()

        def life() -> None:
            linux.die_with_parent()
            close_all_but(theirs.fileno())
            _run_many(theirs, self.run_tests)

        child = fork(life)
        theirs.close()
        return child, ours

    def dismiss_test_runner(self) -> int:
        """End the test runner, if there is one: its wait status."""
        if self.test_runner is None:
            return 0
        child, to_runner = self.test_runner
        self.test_runner = None
        to_runner.close()
        os.kill(child, signal.SIGKILL)  # without effect on one that has ended: its status stays what it was
        return os.waitpid(child, 0)[1]

    def _wait_for(self, descriptor: int, seconds: float | None = None) -> str | None:
        """Return when there is something to read; RunnerGoneError when the runner is gone.

        seconds: how long to wait while a candidate lives. FaultError where that is over; a reason to fail the candidate
            where it has too many threads and nobody else counts them.
        """
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if descriptor != self.runner:
            poll.register(self.runner, 0)  # its hang-up only
        deadline = None if seconds is None else time.monotonic() + seconds
        while os.getppid() == self.parent:  # the socket may be kept open by a process that a killed runner forked
            for ready, _ in poll.poll(1000 if deadline is None else _LOOK_SECONDS * 1000):
                if ready == descriptor:
                    return None
                raise RunnerGoneError
            if deadline is not None and time.monotonic() > deadline:
                raise FaultError(f"the tests were not over after {seconds:g} s")
            if deadline is not None and self.server.group is None and tasks_below(self.server.pid) > MAX_TASKS:
                return f"more than {MAX_TASKS} threads and processes"
        raise RunnerGoneError


def _run_many(supervisor: socket.socket, run_tests: RunTests) -> None:
    """Run the tests of one job after another; the process ends with the supervisor, or when its memory has grown."""
    linux.limit_test_runner_memory()
    at_first = _peak_bytes()
    retires = False
    while not retires:
        message, descriptors, _, _ = socket.recv_fds(supervisor, 1, 1)
        if not message:
            return
        job = codec.decode(frames.receive(supervisor.fileno()))
        linux.limit_test_runner_time()
        with socket.socket(fileno=descriptors[0]) as channel:
            verdict = run_tests(channel, job)
        retires = _peak_bytes() - at_first > _GROWTH_BYTES
        frames.send(supervisor.fileno(), codec.encode({**verdict, "retires": "yes" if retires else "no"}))


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _how_it_ended(status: int, seconds: float, limits: Limits) -> str:
    """The end of a candidate's process, for a person."""
    if seconds >= limits.cpu_seconds - 0.5:
        return f"out of processor time ({limits.cpu_seconds} s)"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        names = {known.value: known.name for known in signal.Signals}  # real-time signals have none
        return f"killed by {names.get(number, f'signal {number}')}"
    return f"it exited with status {os.waitstatus_to_exitcode(status)}"
