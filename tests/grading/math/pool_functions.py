"""What the workers of test_worker_pool.py are asked to do: each function misbehaves in one way."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time

from scorebench.grading.math.values import Decision


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
    hang_in_python()


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_of_seventeen(reference: str, answer: str) -> Decision:
    if "17" in reference:
        die()
    return Decision(True, "control")


def take_memory(size: int) -> int:
    return len(bytearray(size))


def fail() -> None:
    raise ValueError("no such thing")


def give_a_lambda() -> object:
    return lambda: None


def chatter() -> str:
    print("this must not be taken for an answer")
    return "quiet"


def wait_and_double(number: int) -> int:
    time.sleep(1.0)
    return 2 * number
