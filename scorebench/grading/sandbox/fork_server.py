"""The process that candidates are forked from: warm, small, and without anything worth finding.

It never sees a test or a program. Where the kernel has namespaces it is the first process of its own, and what is left
of a candidate is then ended with one signal to everybody in them.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scorebench.grading.sandbox import codec, frames, landlock, linux, rpc_server, seccomp
from scorebench.grading.sandbox.linux import Limits
from scorebench.grading.sandbox.processes import FaultError, close_all_but, fork, succeeds
from scorebench.grading.sandbox.tasks_limit import TasksGroup

# Imported once here, so that no candidate pays for them. All of it is Python's own library.
_WARM = "array bisect calendar cmath collections copy dataclasses datetime decimal enum fractions functools hashlib"
_WARM += " heapq itertools json math numbers operator random re statistics string textwrap typing"

FORKED = b"forked"
PATIENCE_SECONDS = 30.0  # for a process of ours to do what takes it milliseconds


@dataclass(frozen=True)
class Confinement:
    """What the candidates of this fork server are locked in with.

    rules: Landlock's rules, a file descriptor; None where they are not used.
    """

    filter: seccomp.Filter | None
    rules: int | None
    namespaces: bool

    def enter(self, limits: Limits) -> None:
        """Lock this process in; there is no way back."""
        linux.drop_capabilities()
        linux.gain_nothing()
        linux.limit_candidate(limits, may_fork=self.filter is not None)
        if self.rules is not None:
            landlock.restrict(self.rules)
        if self.filter is not None:
            self.filter.adopt()


@dataclass(frozen=True)
class ForkServer:
    """A fork server as its supervisor sees it.

    protection: what confines its candidates.
    group: the control group that limits their number of threads; None where the supervisor must count them.
    """

    socket: socket.socket
    pid: int
    protection: dict[str, Any]
    group: TasksGroup | None


def start(withhold: list[str], libraries: list[str]) -> ForkServer:
    """Start a fork server; FaultError if it does not start.

    withhold: mechanisms not to use though the kernel has them.
    libraries: folders of packages beside Python's own that a program may import.
    The caller must have one thread, and adopts the fork server: that ends when the socket is closed, and can then be
    waited for.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)  # the first message says who the fork server is
    group = TasksGroup.make() if "pids" not in withhold else None

    def enter_and_fork() -> None:
        if group is not None:
            group.enter()
        close_all_but(theirs.fileno())
        namespaces = "namespaces" not in withhold and succeeds(linux.enter_namespaces)
        # The first child after that is the namespace's first process; its parent here has nothing more to do.
        fork(lambda: _equip(theirs, withhold, libraries, namespaces))

    linux.adopt_orphans()
    os.waitpid(fork(enter_and_fork), 0)
    theirs.close()
    ours.settimeout(PATIENCE_SECONDS)
    try:
        protection, pid = linux.receive_with_pid(ours, 4096)
    except ValueError:
        raise FaultError("the fork server did not start") from None
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
    return ForkServer(ours, pid, codec.decode(protection), group)


def _equip(supervisor: socket.socket, withhold: list[str], libraries: list[str], namespaces: bool) -> None:
    linux.be_opaque()
    linux.adopt_orphans()
    for name in _WARM.split():
        importlib.import_module(name)
    sys.path += {os.path.dirname(library): None for library in libraries}
    rpc_server.warm_up()
    gc.collect()
    gc.freeze()  # a collection in a candidate need not touch, and so copy, the pages of all this
    rules = landlock.ruleset(libraries) if "landlock" not in withhold and landlock.abi() > 0 else None
    use_filter = "seccomp" not in withhold and seccomp.available()
    filter = seccomp.Filter(writes_are_refused_by_path=rules is not None) if use_filter else None
    confinement = Confinement(filter, rules, namespaces)
    mechanisms = {"seccomp": use_filter, "landlock": rules is not None, "namespaces": namespaces}
    refused = _try_everything(confinement)
    supervisor.send(codec.encode({"mechanisms": mechanisms, "tried": list(_ATTEMPTS), "refused": refused}))
    _serve(supervisor, confinement)


def _serve(supervisor: socket.socket, confinement: Confinement) -> None:
    """Fork a candidate for every job, clear everything away after it, until the supervisor is gone."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(supervisor, 1024, 1)
        if not message:
            _clear(None, confinement)
            return
        (channel,) = descriptors
        limits = Limits(**codec.decode(message))
        child = None
        try:
            child = fork(lambda: _be_candidate(channel, confinement, limits))  # noqa: B023
            supervisor.send(FORKED)
        except OSError as fault:
            supervisor.send(f"no new process: {fault}".encode())
        os.close(channel)
        supervisor.recv(1)  # the job is over, or the supervisor is gone
        ending = codec.encode(_clear(child, confinement))
        if not succeeds(lambda: supervisor.send(ending)):  # noqa: B023
            return


def _be_candidate(channel: int, confinement: Confinement, limits: Limits) -> None:
    """The rest of a forked child's life."""
    os.setpgid(0, 0)
    linux.die_with_parent()
    close_all_but(channel, confinement.rules)
    try:
        confinement.enter(limits)
    except OSError as fault:
        frames.send(channel, f"not locked in: {fault}".encode())
        return
    rpc_server.serve(channel)


def _clear(child: int | None, confinement: Confinement) -> tuple[int, float]:
    """End the candidate and everything that came of it: (its wait status, its processor seconds)."""
    status, seconds = 0, 0.0
    while True:
        if confinement.namespaces:
            _kill(os.kill, -1)  # everybody in this process namespace but us
        elif child is not None:
            _kill(os.kill, child)
            _kill(os.killpg, child)
            for orphan in _children():
                _kill(os.kill, orphan)
        try:
            ended, how, used = os.wait4(-1, 0)
        except ChildProcessError:
            return status, seconds
        if ended == child:
            status, seconds = how, used.ru_utime + used.ru_stime


def _kill(send: Callable[[int, int], None], target: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended by itself
        send(target, signal.SIGKILL)


def _children() -> list[int]:
    """Children of this process, the adopted ones included; none are known where the kernel does not list them."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return []


def _try_everything(confinement: Confinement) -> list[str]:
    """What a candidate is refused here: tried by one, not concluded from the kernel's version."""
    reading, writing = os.pipe()

    def life() -> None:
        os.setpgid(0, 0)
        confinement.enter(Limits())
        for name, attempt in _ATTEMPTS.items():
            if not succeeds(attempt):
                os.write(writing, f"{name}\n".encode())

    child = fork(life)
    os.close(writing)
    with open(reading) as report:
        refused = report.read().splitlines()
    _clear(child, confinement)
    return refused


def _connect_somewhere() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # an address for documentation; nothing is sent


_ATTEMPTS: dict[str, Callable[[], Any]] = {
    "reading files": lambda: os.close(os.open("/", os.O_RDONLY)),
    "writing files": lambda: os.close(os.open("/dev/zero", os.O_WRONLY)),
    "network": _connect_somewhere,
    "processes": lambda: fork(lambda: None),
}
