"""Slots: what confines candidates, what is left of them, and what happens when a part of a slot fails."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scorebench.api.errors import UserError
from scorebench.api.types import Verdict
from scorebench.grading.code.grader import grade, outputs_key
from scorebench.grading.code.output_digest import LOST
from scorebench.grading.sandbox import pool
from scorebench.grading.sandbox.linux import Limits
from tests.exploits.test_exploits import slot_processes
from tests.grading.code.test_grader import rows

PROGRAM = "def f(x):\n    return x + 1\n"
TESTS = ["assert f(1) == 2"]
SHORT = Limits(cpu_seconds=5, idle_seconds=0.5)
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def fresh_pool() -> Iterator[None]:
    pool.configure(1)
    yield
    pool.configure()


def process_of(role: int) -> int:
    """The supervisor (0), test runner (1) or fork server (2) of the only slot: by who started whom."""
    processes = sorted(slot_processes())
    supervisor = next(pid for pid in processes if parent_of(pid) == os.getpid())
    children = [pid for pid in processes if parent_of(pid) == supervisor]
    namespaces = {pid: os.readlink(f"/proc/{pid}/ns/ipc") for pid in children}
    fork_server = next((pid for pid in children if namespaces[pid] != os.readlink("/proc/self/ns/ipc")), children[0])
    (test_runner,) = set(children) - {fork_server}
    return (supervisor, test_runner, fork_server)[role]


def kill_when_program_runs(role: int) -> None:
    """Kill a part of the only slot once it has a candidate, its fourth process."""
    deadline = time.monotonic() + 60
    while len(slot_processes()) < 4:
        assert time.monotonic() < deadline, "no candidate was started"
        time.sleep(0.01)
    os.kill(process_of(role), signal.SIGKILL)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def wait_until_gone(processes: set[int]) -> None:
    deadline = time.monotonic() + 20
    while any(is_alive(pid) for pid in processes):
        assert time.monotonic() < deadline, "processes are left"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# --- tiers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("withhold", "name", "missing"),
    [
        (set(), "full", set()),
        ({"namespaces"}, "confined", set()),
        ({"landlock"}, "partial", {"reading files"}),
        ({"landlock", "namespaces"}, "partial", {"reading files"}),
        ({"seccomp"}, "partial", set()),
    ],
)
def test_the_tier_says_what_is_enforced(withhold: set[str], name: str, missing: set[str]):
    pool.configure(1)
    here = set(pool.tier().mechanisms)
    if not here >= {"seccomp", "landlock", "namespaces"}:
        pytest.skip(f"this machine has no more than {sorted(here)}")
    pool.configure(1, frozenset(withhold))
    tier = pool.tier()
    assert tier.name == name
    assert set(tier.mechanisms) == {"seccomp", "landlock", "namespaces"} - withhold
    assert missing <= set(tier.missing)
    assert not set(tier.missing) & set(tier.enforced)
    assert {"memory", "processor time", "wall time", "output"} <= set(tier.enforced)
    assert grade(PROGRAM, TESTS).passed


@pytest.mark.skipif(os.getuid() == 0, reason="run as an ordinary user below")
def test_ordinary_users_are_confined_too():
    assert {"reading files", "writing files", "network", "processes"} <= set(pool.tier().enforced)


def test_the_weakest_tier_runs_only_when_asked_for_by_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(pool.TIER_VARIABLE, raising=False)
    pool.configure(1, frozenset({"seccomp", "landlock", "namespaces"}))
    assert pool.tier().name == "limits"
    with pytest.raises(UserError, match=pool.TIER_VARIABLE):
        grade(PROGRAM, TESTS)
    monkeypatch.setenv(pool.TIER_VARIABLE, "limits")
    assert grade(PROGRAM, TESTS).passed
    assert grade("def f(x):\n    return bytearray(2**32)", TESTS).detail.endswith("MemoryError")
    spin = grade("def f(x):\n    while True: pass", TESTS, limits=Limits(cpu_seconds=1))
    assert spin.detail == "the program's process ended: out of processor time (1 s)"


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="becomes nobody, which takes root")
def test_as_nobody(tmp_path: Path):
    """The same as an ordinary user, if an interpreter that nobody may run is installed."""
    interpreter = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if not interpreter:
        pytest.skip("no interpreter outside root's home")
    package = tmp_path / "package"
    shutil.copytree(ROOT / "scorebench" / "grading", package / "scorebench" / "grading")
    shutil.copytree(ROOT / "scorebench" / "api", package / "scorebench" / "api")
    shutil.copy(ROOT / "scorebench" / "__init__.py", package / "scorebench" / "__init__.py")
    for folder in (package, *package.parents):
        if folder.stat().st_uid == os.getuid() and folder.is_relative_to("/tmp/"):
            folder.chmod(0o755)
    script = (
        "import sys; assert sys.version_info >= (3, 11), 'too old'\n"
        "from scorebench.grading.sandbox import pool\nfrom scorebench.grading.code import grade\n"
        "for withhold in ((), ('namespaces',)):\n"
        "    pool.configure(1, frozenset(withhold))\n"
        f"    print(pool.tier().missing, grade({PROGRAM!r}, {TESTS!r}).outcome,"
        f" grade('import os\\ndef f(x):\\n    os.kill(1, 9)', {TESTS!r}).outcome)\n"
    )
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", interpreter, "-c", script]
    ran = subprocess.run(command, cwd=package, capture_output=True, text=True, check=False)
    if "too old" in ran.stderr:
        pytest.skip("no interpreter of 3.11 or later outside root's home")
    assert ran.stdout.splitlines() == ["() pass fail"] * 2, ran.stderr


# --- nothing is left --------------------------------------------------------------------------------------------------


def test_closing_leaves_no_process():
    assert grade(PROGRAM, TESTS).passed
    processes = slot_processes()
    assert len(processes) == 3
    pool.configure(1)
    assert not {pid for pid in processes if Path(f"/proc/{pid}").exists()}


RUNNER = f"""
import os, sys, threading, time
from scorebench.grading.sandbox import pool
from scorebench.grading.code import grade
from scorebench.grading.sandbox.linux import Limits
pool.configure(2)
grade({PROGRAM!r}, {TESTS!r})
patient = Limits(cpu_seconds=200, idle_seconds=200)  # neither ends before both have begun
for program in ("def f(x):\\n    while True: pass", "import time\\ndef f(x):\\n    time.sleep(100)"):
    threading.Thread(target=grade, args=(program, {TESTS!r}), kwargs=dict(limits=patient)).start()
sys.stdin.readline()  # a fork while a slot is being started would keep that start from ending
if sys.argv[1] == "fork" and os.fork() == 0:
    time.sleep(100)  # a child that keeps the runner's sockets open
print(os.getpid(), flush=True)
time.sleep(100)
"""


@pytest.mark.parametrize("how", ["alone", "fork"])
def test_everything_ends_with_a_killed_runner(how: str):
    command = [sys.executable, "-c", RUNNER, how]
    runner = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert runner.stdin is not None
    assert runner.stdout is not None
    deadline = time.monotonic() + 60  # a loaded machine starts them slowly
    while len(processes := descendants(runner.pid)) < 8:
        assert time.monotonic() < deadline, "two supervisors, test runners, fork servers and candidates"
        time.sleep(0.2)
    assert len(processes) == 8
    runner.stdin.write("fork now\n")
    runner.stdin.flush()
    runner.stdout.readline()
    kept = descendants(runner.pid) - processes
    assert len(kept) == (how == "fork")
    runner.kill()
    runner.wait()
    wait_until_gone(processes)
    for pid in kept:
        os.kill(pid, signal.SIGKILL)
    runner.stdin.close()
    runner.stdout.close()


def descendants(pid: int) -> set[int]:
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = parent_of(int(folder.name))
        except OSError:
            continue
    found: set[int] = set()
    new = {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new}
        found |= new
    return found


def test_a_forked_copy_of_the_runner_has_slots_of_its_own():
    assert grade(PROGRAM, TESTS).passed
    child = os.fork()
    if child == 0:
        try:
            os._exit(
                0 if grade(PROGRAM, TESTS).passed and grade(PROGRAM, ["assert f(1) == 3"]).outcome == "fail" else 1
            )
        except BaseException:
            os._exit(2)
    outcomes = {grade(PROGRAM, TESTS).outcome for _ in range(20)}
    assert os.waitpid(child, 0)[1] == 0
    assert outcomes == {"pass"}


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [0, 1, 2], ids=["supervisor", "test runner", "fork server"])
def test_a_dead_part_of_a_slot_is_replaced(role: int):
    assert grade(PROGRAM, TESTS).passed
    os.kill(process_of(role), signal.SIGKILL)
    assert grade(PROGRAM, TESTS) == Verdict("pass", PROGRAM, "asserts")
    assert grade(PROGRAM, ["assert f(1) == 3"]).outcome == "fail"


def faults(monkeypatch: pytest.MonkeyPatch, for_program: str) -> list[bytes]:
    """Slots that have a fault for each program that contains this text: the jobs they are given."""
    jobs: list[bytes] = []
    grade_for_real = pool.Slot.grade

    def grade_or_fail(slot: pool.Slot, job: bytes, seconds: float) -> dict:
        jobs.append(job)
        if for_program.encode() in job:
            raise OSError(28, "No space left on device")
        return grade_for_real(slot, job, seconds)

    monkeypatch.setattr(pool.Slot, "grade", grade_or_fail)
    return jobs


def test_a_fault_that_meets_the_control_too_is_an_error_and_no_failure(monkeypatch: pytest.MonkeyPatch):
    jobs = faults(monkeypatch, "return")
    verdict = grade(PROGRAM, ["assert f(1) == 3"])
    assert (verdict.outcome, verdict.rule, len(jobs)) == ("error", pool.FAULT, 3)
    assert "No space left" in verdict.detail


def test_a_fault_that_meets_one_program_only_is_that_programs_failure(monkeypatch: pytest.MonkeyPatch):
    jobs = faults(monkeypatch, "villain")
    verdict = grade("def f(x):\n    return x + 1  # villain", TESTS)
    assert (verdict.outcome, verdict.rule, len(jobs)) == ("fail", pool.GRADERS_LOST, 3)
    assert "twice" in verdict.detail
    assert "No space left" in verdict.detail
    assert outputs_key("def f(x):\n    return x + 1  # villain", TESTS) == LOST
    assert grade(PROGRAM, TESTS).passed


@pytest.mark.parametrize("role", [0, 1, 2], ids=["supervisor", "test runner", "fork server"])
def test_a_program_whose_graders_die_each_time_fails(monkeypatch: pytest.MonkeyPatch, role: int):
    """As a program would that found a way to end them; here a thread of the test does it while the program sleeps."""
    grade_for_real = pool.Slot.grade

    def grade_and_kill(slot: pool.Slot, job: bytes, seconds: float) -> dict:
        if b"time.sleep" in job:
            threading.Thread(target=kill_when_program_runs, args=(role,)).start()
        return grade_for_real(slot, job, seconds)

    monkeypatch.setattr(pool.Slot, "grade", grade_and_kill)
    verdict = grade("import time\ndef f(x):\n    time.sleep(60)", TESTS, limits=Limits(idle_seconds=60))
    assert (verdict.outcome, verdict.rule) == ("fail", pool.GRADERS_LOST)
    assert grade(PROGRAM, TESTS).passed


def test_a_slot_that_cannot_start_is_an_error_and_no_failure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert grade(PROGRAM, TESTS).outcome == "error"


def test_tests_too_large_to_send_are_an_error():
    assert grade(PROGRAM, ["assert f(1) == 2", f"assert len({'x' * 2**24!r}) > 0"]).outcome == "error"


@pytest.mark.parametrize("number", [1, 2, 3, 6, 9, 11, 15, 19, 24, 31, 32, 33, 34, 35, 40, 63, 64])
def test_a_program_that_signals_itself_has_failed(number: int):
    verdict = grade(
        f"import os, time\ndef f(x):\n    os.kill(os.getpid(), {number})\n    time.sleep(9)", TESTS, limits=SHORT
    )
    assert verdict.outcome == "fail"
    assert "asleep" in verdict.detail or "killed by" in verdict.detail or "KeyboardInterrupt" in verdict.detail


# --- limits -----------------------------------------------------------------------------------------------------------


def test_time_asleep_is_limited_and_time_waiting_for_a_processor_is_not():
    limits = Limits(cpu_seconds=10, idle_seconds=0.6)
    asleep = grade("import time\ndef f(x):\n    time.sleep(30)", TESTS, limits=limits)
    assert asleep == Verdict("fail", asleep.answer, "asserts", "asleep for 0.6 s")
    busy = "def f(x):\n    for _ in range(10**7): pass\n    return x + 1"
    with ThreadPoolExecutor(12) as crowd:
        pool.configure(12)
        outcomes = list(crowd.map(lambda _: grade(busy, TESTS, limits=limits).outcome, range(12)))
    assert outcomes == ["pass"] * 12


def test_time_by_the_clock_is_the_last_resort():
    limits = Limits(idle_seconds=100, wall_seconds=0.5)
    detail = grade("import time\ndef f(x):\n    time.sleep(30)", TESTS, limits=limits).detail
    assert detail == "out of time (0.5 s by the clock)"


@pytest.fixture(params=["full", "namespaces", "seccomp,landlock,namespaces", "pids"])
def weaker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiers full, confined and limits, and full without a control group."""
    monkeypatch.setenv(pool.TIER_VARIABLE, "limits")
    pool.configure(1, frozenset(request.param.split(",")) - {"full"})


@pytest.mark.usefixtures("weaker")
@pytest.mark.parametrize(
    ("program", "tests"),
    [
        (
            "import time\ndef f(x):\n    while True:\n        yield x\n        time.sleep(0.05)",
            "assert list(f(1)) == 2",
        ),
        ("import time\ndef f(x):\n    time.sleep(0.05)\n    return x", "while f(1): pass"),
        ("import time\ndef f(g):\n    while g(1): time.sleep(0.05)", "f(lambda x: x)"),
        ("import time\ndef f(x):\n    time.sleep(60)", "f(1)"),
    ],
    ids=["iteration", "calls", "callbacks", "one call"],
)
def test_naps_are_added_up(program: str, tests: str):
    verdict = grade(program, tests, entry_point="f", limits=SHORT)
    assert (verdict.outcome, verdict.detail) == ("fail", "asleep for 0.5 s")


@pytest.mark.usefixtures("weaker")
def test_time_by_the_clock_ends_what_is_neither_asleep_nor_out_of_processor_time():
    limits = Limits(cpu_seconds=100, idle_seconds=100, wall_seconds=0.6)
    for program in (
        "import time\ndef f(x):\n    while True:\n        yield x\n        time.sleep(0.01)",
        "def f(x):\n    while True: pass",
    ):
        verdict = grade(program, "for x in f(1): pass", entry_point="f", limits=limits)
        assert (verdict.outcome, verdict.detail) == ("fail", "out of time (0.6 s by the clock)")


@pytest.mark.usefixtures("weaker")
def test_threads_are_limited_and_thirty_two_are_allowed():
    threads = "import threading\nthreading.stack_size(32768)\ndef f(n):\n    stop = threading.Event()\n"
    threads += "    for _ in range(n): threading.Thread(target=stop.wait, daemon=True).start()\n"
    wait = "    threading.Event().wait(2)\n    return n"
    assert grade(threads + "    return n", ["assert f(32) == 32"]).passed
    verdict = grade(threads + wait, ["assert f(400) == 400"])
    assert verdict.outcome == "fail"
    assert "thread" in verdict.detail


@pytest.mark.parametrize("withheld", ["seccomp,landlock,namespaces", "seccomp,landlock,namespaces,pids"])
def test_forks_are_limited_where_nothing_is_confined(withheld: str, monkeypatch: pytest.MonkeyPatch):
    """Also of root, whom the kernel's own limit on processes does not bind: by a control group, else by counting."""
    monkeypatch.setenv(pool.TIER_VARIABLE, "limits")
    pool.configure(1, frozenset(withheld.split(",")))
    program = "import os, time\ndef f(n):\n    for _ in range(n):\n        if os.fork() == 0:\n"
    program += "            time.sleep(5)\n            os._exit(0)\n    time.sleep(2)\n    return n"
    assert grade(program, ["assert f(20) == 20"], entry_point="f").passed
    verdict = grade(program, ["assert f(300) == 300"], entry_point="f")
    assert verdict.outcome == "fail", verdict
    assert "Resource temporarily unavailable" in verdict.detail or "threads and processes" in verdict.detail, verdict


@pytest.mark.slow
def test_an_answer_that_is_slow_to_compare_fails_its_program():
    tests = ["assert [f(i) for i in range(2)]", "n = f(5)\nwhile n: n -= 1"]
    program = "def f(x):\n    return 10**30"
    verdict = grade(program, tests, entry_point="f")
    assert (verdict.outcome, verdict.detail) == ("fail", "comparing the program's answers took too long")


def test_threads_grade_at_once_and_never_mix_up_verdicts():
    pool.configure(3)
    with ThreadPoolExecutor(8) as threads:
        jobs = [(f"def f(x):\n    return x + {n % 7}", [f"assert f(1) == {1 + n % 5}"]) for n in range(120)]
        outcomes = list(threads.map(lambda job: grade(*job).outcome, jobs))
    assert outcomes == ["pass" if n % 7 == n % 5 else "fail" for n in range(120)]
    assert len(slot_processes()) == 9


@pytest.mark.slow
def test_mbpp_123_passes_under_load():
    row = next(row for row in rows("mbpp.jsonl.gz") if row["task_id"] == 123)
    burn = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4 * (os.cpu_count() or 1))]
    try:
        assert grade(row["code"], row["test_list"]).passed
    finally:
        for process in burn:
            process.kill()
            process.wait()
