"""The pool keeps its promises towards functions that hang, die, swell and shout."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scorebench.grading.math.worker_pool import CallFailed, TooSlow, WorkerDied, WorkerPool

from . import pool_functions as functions

SOON = 30.0


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(workers=2)
    yield pool
    pool.close()


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pid: int) -> bool:
    deadline = time.monotonic() + SOON
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)


def test_many_threads_get_their_own_answers(pool: WorkerPool):
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda n: pool.call(functions.double, n, seconds=SOON), range(200)))
    assert answers == [2 * n for n in range(200)]


def test_no_more_workers_than_asked_for_and_they_are_used_again(pool: WorkerPool):
    with ThreadPoolExecutor(8) as threads:
        ids = set(threads.map(lambda _: pool.call(functions.worker_id, seconds=SOON), range(50)))
    assert len(ids) <= 2
    assert os.getpid() not in ids


def test_workers_start_with_the_first_call_and_import_what_they_were_told():
    pool = WorkerPool(preload=("fractions",), workers=1)
    assert not pool._living
    modules = pool.call(functions.loaded_modules, seconds=SOON)
    pool.close()
    assert "fractions" in modules
    assert "pytest" not in modules, "a worker is a fresh interpreter, not a copy of this one"


@pytest.mark.parametrize("hang", [functions.hang_in_python, functions.hang_in_c])
def test_a_call_ends_at_its_limit_and_the_pool_goes_on(pool: WorkerPool, hang):
    with pytest.raises(TooSlow):
        pool.call(hang, seconds=0.3)
    assert pool.call(functions.double, 21, seconds=SOON) == 42


def test_a_hanging_call_does_not_hold_up_the_others(pool: WorkerPool):
    with ThreadPoolExecutor(4) as threads:
        hanging = threads.submit(pool.call, functions.hang_in_c, seconds=1.0)
        assert [pool.call(functions.double, n, seconds=SOON) for n in range(20)] == [2 * n for n in range(20)]
        with pytest.raises(TooSlow):
            hanging.result()


def test_the_limit_is_of_processor_time(pool: WorkerPool):
    """A worker that waits, as on a busy machine, uses none of it."""
    assert pool.call(functions.wait_and_double, 4, seconds=0.2) == 8


def test_the_children_of_a_killed_worker_die_with_it(pool: WorkerPool, tmp_path: Path):
    with pytest.raises(TooSlow):
        pool.call(functions.hang_with_child, str(tmp_path / "pid"), seconds=0.5)
    assert wait_until_gone(int((tmp_path / "pid").read_text()))


def test_a_call_that_kills_its_worker_is_an_error_of_its_own(pool: WorkerPool):
    with pytest.raises(WorkerDied, match="status -9"):
        pool.call(functions.die, seconds=SOON)
    assert pool.call(functions.double, 4, seconds=SOON) == 8


def test_an_idle_worker_that_was_killed_is_noticed(pool: WorkerPool):
    for worker in list(pool._living):
        os.kill(worker._process.pid, signal.SIGKILL)
        worker._process.wait()
    with ThreadPoolExecutor(2) as threads:
        calls = [threads.submit(pool.call, functions.double, n, seconds=SOON) for n in range(2)]
        assert [call.result() for call in calls] == [0, 2]


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of the address space is Linux's")
def test_memory_is_limited():
    pool = WorkerPool(workers=1, memory_bytes=512 << 20)
    assert pool.call(functions.take_memory, 64 << 20, seconds=SOON) == 64 << 20
    with pytest.raises(WorkerDied):
        pool.call(functions.take_memory, 1 << 30, seconds=SOON)
    pool.close()


@pytest.mark.parametrize(
    ("function", "reason"), [(functions.fail, "ValueError: no such thing"), (functions.give_a_lambda, "pickle")]
)
def test_an_exception_comes_back_with_its_traceback(pool: WorkerPool, function, reason):
    with pytest.raises(CallFailed, match=reason):
        pool.call(function, seconds=SOON)


def test_printing_does_not_disturb(pool: WorkerPool, capfd: pytest.CaptureFixture[str]):
    assert pool.call(functions.chatter, seconds=SOON) == "quiet"
    assert capfd.readouterr().out == ""


def test_a_worker_that_cannot_start_is_named():
    pool = WorkerPool(preload=("no_such_module_anywhere",), workers=1)
    with pytest.raises(WorkerDied, match="no_such_module_anywhere"):
        pool.call(functions.double, 1, seconds=SOON)
    pool.close()


def test_close_leaves_no_process_and_the_pool_can_be_used_again():
    pool = WorkerPool(workers=2)
    pool.call(functions.double, 1, seconds=SOON)
    pids = [worker._process.pid for worker in pool._living]
    pool.close()
    assert not any(alive(pid) for pid in pids)
    assert pool.call(functions.double, 5, seconds=SOON) == 10
    pool.close()


PARENT = """
import os, signal, sys, threading, time
from scorebench.grading.math.worker_pool import WorkerPool
from tests.grading.math import pool_functions as functions
pool = WorkerPool(workers=2)
pool.call(functions.double, 1, seconds=30)
if sys.argv[1] == "killed":
    busy = threading.Thread(target=lambda: pool.call(functions.hang_in_c, seconds=2.0), daemon=True)
    busy.start()
    time.sleep(0.3)
print(*(worker._process.pid for worker in pool._living), flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("ending", ["exit", "killed"])
def test_no_worker_outlives_its_parent(ending: str):
    """Not even one that is in the middle of a computation when its parent is killed."""
    program = [sys.executable, "-c", textwrap.dedent(PARENT), ending]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.run(program, capture_output=True, text=True, timeout=60, env=environment)
    pids = [int(pid) for pid in parent.stdout.split()]
    assert len(pids) == 2, parent.stderr
    assert all(wait_until_gone(pid) for pid in pids)
