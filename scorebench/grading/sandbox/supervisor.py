"""One grading slot: a small process tree that the runner talks to over one socket.

    runner                    any process, with torch and threads
      keeper                  trusted, no torch, one thread, one job at a time
        judge                 trusted: runs the tests; ends, and is replaced, when its memory has grown
        nursery               never sees a test; first process of its own namespaces where the kernel has them
          candidate           fresh for every job: runs the program

The candidate is forked from a process that never held a test, so there is nothing to find in its memory. The keeper
ends when the runner does, on kill -9 too; judge and nursery end when the keeper does; and with the first process of a
process namespace the kernel ends all others in it.
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
from collections.abc import Callable
from typing import Any

from scorebench.grading.sandbox import codec, fork_server, frames, linux
from scorebench.grading.sandbox.linux import Limits
from scorebench.grading.sandbox.processes import FaultError, close_all_but, fork, succeeds

PROCESS_ENDED = "the program's process ended"
FAULT = "sandbox"  # the rule of a verdict that there is none, because something of ours failed
_JUDGE_GROWTH_BYTES = 32 * 2**20


class RunnerGoneError(Exception):
    """Nobody waits for a verdict any more."""


Judge = Callable[[socket.socket, dict[str, Any]], dict[str, str]]


def main(runner: int, judge: str, withhold: list[str], libraries: list[str]) -> None:
    """Serve the runner at this socket until it is gone. Before anything else, say what confines the candidates.

    judge: the module whose function `judge(channel, job)` runs the tests.
    """
    to_nursery, protection = fork_server.start(withhold, libraries)
    linux.be_opaque()
    gc.collect()
    gc.freeze()
    frames.send(runner, codec.encode(protection))
    keeper = _Keeper(runner, to_nursery, importlib.import_module(judge).judge)
    with contextlib.suppress(frames.ClosedError, RunnerGoneError):
        keeper.serve()
    keeper.dismiss_judge()
    to_nursery.close()
    while succeeds(os.wait):  # the nursery, which ends because its keeper is gone
        pass


class _Keeper:
    def __init__(self, runner: int, to_nursery: socket.socket, judge: Judge) -> None:
        self.runner, self.nursery, self.run_tests = runner, to_nursery, judge
        self.parent = os.getppid()
        self.judge: tuple[int, socket.socket] | None = None  # process and socket

    def serve(self) -> None:
        """Answer jobs until the runner is gone, or until a fault: a slot that had one is not used again."""
        fault = False
        while not fault:
            self._wait_for(self.runner)
            job = codec.decode(frames.receive(self.runner))
            try:
                answer = self._grade(job)
            except (FaultError, OSError) as problem:
                fault = True
                answer = {"outcome": "error", "rule": FAULT, "detail": f"sandbox: {problem}"}
            frames.send(self.runner, codec.encode(answer))

    def _grade(self, job: dict[str, Any]) -> dict[str, str]:
        """The verdict of one job. Whatever happens, nothing of its candidate is left afterwards."""
        ours, theirs = socket.socketpair()
        with ours:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)  # the candidate's first message says who it is
            with theirs:
                socket.send_fds(self.nursery, [codec.encode(job["limits"])], [theirs.fileno()])
            forked = self.nursery.recv(1024)
            verdict = None
            try:
                if forked == fork_server.FORKED:
                    verdict = self._judged(job, ours)
            finally:
                self.nursery.send(b"e")
                ending = self.nursery.recv(1024)
        if verdict is None:
            raise FaultError(forked.decode() or "the nursery is gone")
        if verdict["outcome"] == "unready":
            raise FaultError(verdict["detail"])
        if verdict["detail"] == PROCESS_ENDED:
            status, seconds = codec.decode(ending)
            verdict["detail"] += f": {_how_it_ended(status, seconds, Limits(**job['limits']))}"
        return verdict

    def _judged(self, job: dict[str, Any], channel: socket.socket) -> dict[str, str]:
        """The judge's verdict; a judge that an answer has kept busy for too long is ended by the kernel."""
        if self.judge is None:
            self.judge = self._new_judge()
        _, to_judge = self.judge
        try:
            socket.send_fds(to_judge, [b"j"], [channel.fileno()])
            frames.send(to_judge.fileno(), codec.encode(job))
            self._wait_for(to_judge.fileno())
            verdict = codec.decode(frames.receive(to_judge.fileno()))
        except frames.ClosedError:
            status = self.dismiss_judge()
            if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
                return {"outcome": "fail", "rule": "", "detail": "comparing the program's answers took too long"}
            raise FaultError(f"the judge ended without a verdict (wait status {status})") from None
        if verdict.pop("retires") == "yes":
            self.dismiss_judge()
        return verdict

    def _new_judge(self) -> tuple[int, socket.socket]:
        ours, theirs = socket.socketpair()

        def life() -> None:
            linux.die_with_parent()
            close_all_but(theirs.fileno())
            _judge_many(theirs, self.run_tests)

        child = fork(life)
        theirs.close()
        return child, ours

    def dismiss_judge(self) -> int:
        """End the judge, if there is one: its wait status."""
        if self.judge is None:
            return 0
        child, to_judge = self.judge
        self.judge = None
        to_judge.close()
        os.kill(child, signal.SIGKILL)  # without effect on one that has ended: its status stays what it was
        return os.waitpid(child, 0)[1]

    def _wait_for(self, descriptor: int) -> None:
        """Return when there is something to read; RunnerGoneError when the runner is gone."""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if descriptor != self.runner:
            poll.register(self.runner, 0)  # its hang-up only
        while os.getppid() == self.parent:  # the socket may be kept open by a process that a killed runner forked
            for ready, _ in poll.poll(1000):
                if ready == descriptor:
                    return
                raise RunnerGoneError
        raise RunnerGoneError


def _judge_many(keeper: socket.socket, judge: Judge) -> None:
    """Judge one job after another; the process ends with the keeper, or when its memory has grown."""
    linux.limit_judge_memory()
    at_first = _peak_bytes()
    retires = False
    while not retires:
        message, descriptors, _, _ = socket.recv_fds(keeper, 1, 1)
        if not message:
            return
        job = codec.decode(frames.receive(keeper.fileno()))
        linux.limit_judge_time()
        with socket.socket(fileno=descriptors[0]) as channel:
            verdict = judge(channel, job)
        retires = _peak_bytes() - at_first > _JUDGE_GROWTH_BYTES
        frames.send(keeper.fileno(), codec.encode({**verdict, "retires": "yes" if retires else "no"}))


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _how_it_ended(status: int, seconds: float, limits: Limits) -> str:
    """The end of a candidate's process, for a person."""
    if seconds >= limits.cpu_seconds - 0.5:
        return f"out of processor time ({limits.cpu_seconds} s)"
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"it exited with status {os.waitstatus_to_exitcode(status)}"
