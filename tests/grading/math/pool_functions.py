"""What the workers of test_pool.py are asked to do: each function misbehaves in one way."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time


def double(number: int) -> int:
    return 2 * number


def worker_id() -> int:
    return os.getpid()


def loaded_modules() -> list[str]:
    return sorted(sys.modules)


def hang_in_python() -> None:
    while True:
        pass


def hang_in_c() -> int:
    """One call that holds the interpreter's lock for hours: no thread and no Python signal handler gets a turn."""
    return math.factorial(10**8)


def hang_with_child(path: str) -> None:
    child = subprocess.Popen(["sleep", "600"])
    with open(path, "w") as file:
        file.write(str(child.pid))
    time.sleep(600)


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(path: str) -> str:
    """Ends the process at the first call, and answers at the second."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return "second worker"
    os._exit(7)


def take_memory(size: int) -> int:
    return len(bytearray(size))


def fail() -> None:
    raise ValueError("no such thing")


def give_a_lambda() -> object:
    return lambda: None


def chatter() -> str:
    print("this must not be taken for an answer")
    return "quiet"
