"""seccomp: the system calls that a candidate may make, by name; every other is refused with EPERM.

The list is what CPython needs to compute, to sleep, to run threads and to talk over the one socket it was given. There
is no new process, no program to start, no network, no signal to anybody else, no changed file.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from scorebench.grading.sandbox.linux import LINUX, MACHINE, prctl

# name: (number on x86_64, number on aarch64); None where that machine has no such call.
_FREE: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "stat": (4, None),
    "fstat": (5, 80),
    "lstat": (6, None),
    "poll": (7, None),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "pread64": (17, 67),
    "readv": (19, 65),
    "writev": (20, 66),
    "access": (21, None),
    "pipe": (22, None),
    "select": (23, None),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "dup": (32, 23),
    "dup2": (33, None),
    "pause": (34, None),
    "nanosleep": (35, 101),
    "getitimer": (36, 102),
    "alarm": (37, None),
    "setitimer": (38, 103),
    "getpid": (39, 172),
    "sendto": (44, 206),
    "recvfrom": (45, 207),
    "exit": (60, 93),
    "uname": (63, 160),
    "getcwd": (79, 17),
    "readlink": (89, None),
    "umask": (95, 166),
    "gettimeofday": (96, 169),
    "getrlimit": (97, 163),
    "getrusage": (98, 165),
    "sysinfo": (99, 179),
    "times": (100, 153),
    "getuid": (102, 174),
    "getgid": (104, 176),
    "geteuid": (107, 175),
    "getegid": (108, 177),
    "getppid": (110, 173),
    "getpgrp": (111, None),
    "getpgid": (121, 155),
    "getsid": (124, 156),
    "rt_sigpending": (127, 136),
    "rt_sigtimedwait": (128, 137),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "time": (201, None),
    "futex": (202, 98),
    "sched_getaffinity": (204, 123),
    "epoll_create": (213, None),
    "getdents64": (217, 61),
    "set_tid_address": (218, 96),
    "restart_syscall": (219, 128),
    "fadvise64": (221, 223),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "epoll_wait": (232, None),
    "epoll_ctl": (233, 21),
    "newfstatat": (262, 79),
    "readlinkat": (267, 78),
    "faccessat": (269, 48),
    "pselect6": (270, 72),
    "ppoll": (271, 73),
    "set_robust_list": (273, 99),
    "epoll_pwait": (281, 22),
    "eventfd2": (290, 19),
    "epoll_create1": (291, 20),
    "dup3": (292, 24),
    "pipe2": (293, 59),
    "getcpu": (309, 168),
    "getrandom": (318, 278),
    "statx": (332, 291),
    "rseq": (334, 293),
    "faccessat2": (439, 439),
}
_OPEN, _IOCTL, _SOCKETPAIR, _CLONE, _KILL, _FCNTL = (2, None), (16, 29), (53, 199), (56, 220), (62, 129), (72, 25)
_TGKILL, _OPENAT, _PRLIMIT, _CLONE3 = (234, 131), (257, 56), (302, 261), (435, 435)

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above, AUDIT_ARCH of the kernel

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CLONE_THREAD = 0x10000
_HARMLESS_FCNTL = (0, 1, 2, 3, 4, 1030)  # copies and flags of a descriptor; not F_SETOWN, which sends signals
_HARMLESS_IOCTL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # is it a terminal, how wide; close-on-exec

# Opcodes of classic BPF, and what a filter may answer.
_LOAD, _EQUAL, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x45, 0x54, 0x06
_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2

_OWN_PID = 0x7FFFFFFF  # stands for the candidate's own number in a compiled filter

Instruction = tuple[int, int, int, int]


def available() -> bool:
    """Whether this kernel has filters and this machine's call numbers are known here."""
    if not LINUX or MACHINE not in _MACHINES:
        return False
    try:
        prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER)  # a null filter: EFAULT where filters exist, EINVAL where not
    except OSError as refusal:
        return refusal.errno == errno.EFAULT
    return False


class Filter:
    """The filter as the kernel takes it, compiled once and adopted by every candidate.

    writes_are_refused_by_path: Landlock decides which file may be opened for what; without it, the filter refuses
        to open any file for writing.
    """

    def __init__(self, *, writes_are_refused_by_path: bool) -> None:
        program = _filter(_OWN_PID, writes_are_refused_by_path)
        self._own_pid_at = [8 * index + 4 for index, instruction in enumerate(program) if instruction[3] == _OWN_PID]
        code = b"".join(struct.pack("<HBBI", *instruction) for instruction in program)
        self._code = ctypes.create_string_buffer(code, len(code))
        self._head = struct.pack("<HxxxxxxQ", len(program), ctypes.addressof(self._code))

    def adopt(self) -> None:
        """From here on this process may make the calls above only, and signal nobody but itself."""
        for place in self._own_pid_at:
            struct.pack_into("<I", self._code, place, os.getpid())
        prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, self._head)


def _filter(pid: int, writes_are_refused_by_path: bool) -> list[Instruction]:
    column, arch = _MACHINES[MACHINE]
    free = [numbers[column] for numbers in _FREE.values()]
    program: list[Instruction] = [(_LOAD, 0, 0, _ARCH_AT), (_EQUAL, 1, 0, arch), (_RETURN, 0, 0, _KILL_PROCESS)]
    program.append((_LOAD, 0, 0, _NUMBER_AT))
    for number in free:
        if number is not None:
            program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]

    def add(numbers: tuple[int | None, int | None], body: list[Instruction]) -> None:
        number = numbers[column]
        if number is not None:
            program.extend([(_EQUAL, 0, len(body), number), *body])

    add(_CLONE, _if_bits(0, _CLONE_THREAD, then=_ALLOW, otherwise=_refuse()))
    # A filter cannot see the flags of clone3; told that there is none, libc uses clone.
    add(_CLONE3, [(_RETURN, 0, 0, _refuse(errno.ENOSYS))])
    add(_KILL, _if_equal(0, (pid,)))
    add(_TGKILL, _if_equal(0, (pid,)))
    add(_PRLIMIT, _if_equal(0, (0,)))
    add(_FCNTL, _if_equal(1, _HARMLESS_FCNTL))
    add(_IOCTL, _if_equal(1, _HARMLESS_IOCTL))
    # asyncio wakes itself through a stream pair. A datagram pair could send to any socket of the machine by its path.
    add(_SOCKETPAIR, [(_LOAD, 0, 0, _ARGUMENTS_AT + 8), (_AND, 0, 0, 0xF), (_EQUAL, 1, 0, 1), _refusal(), _allow()])
    for numbers, flags_argument in ((_OPEN, 1), (_OPENAT, 2)):
        writing = _ALLOW if writes_are_refused_by_path else _refuse(errno.EACCES)
        add(numbers, _if_bits(flags_argument, _WRITING, then=writing, otherwise=_ALLOW))
    program.append(_refusal())
    return program


def _refuse(number: int = errno.EPERM) -> int:
    return _ERRNO | number


def _refusal() -> Instruction:
    return (_RETURN, 0, 0, _refuse())


def _allow() -> Instruction:
    return (_RETURN, 0, 0, _ALLOW)


def _if_bits(argument: int, bits: int, *, then: int, otherwise: int) -> list[Instruction]:
    """Answer by whether any of the bits is set in the low half of an argument."""
    return [
        (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument),
        (_ANY_BIT, 0, 1, bits),
        (_RETURN, 0, 0, then),
        (_RETURN, 0, 0, otherwise),
    ]


def _if_equal(argument: int, values: tuple[int, ...]) -> list[Instruction]:
    """Allow if the low half of an argument is one of the values."""
    body: list[Instruction] = [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument)]
    for value in values:
        body += [(_EQUAL, 0, 1, value), _allow()]
    return [*body, _refusal()]
