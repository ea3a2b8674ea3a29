"""The verdict of a program: `grade(program, tests) -> Verdict`.

The program and the tests never share a process. The program runs alone, locked in by the kernel (sandbox/), and
answers calls with plain data (sandbox/codec.py); the tests run as they are written in a trusted process of ours
(test_runner.py), which alone holds expected values, comparison and verdict. Neither is the process that calls `grade`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scorebench.api.errors import UserError
from scorebench.api.types import Verdict
from scorebench.grading.code.extract import Found
from scorebench.grading.code.output_digest import LOST, shown_expressions
from scorebench.grading.code.rpc_client import TestsFaultError
from scorebench.grading.code.test_parser import read_tests
from scorebench.grading.sandbox import pool
from scorebench.grading.sandbox.linux import Limits
from scorebench.grading.sandbox.supervisor import FAULT

__all__ = ["LIMITS", "grade", "grade_found", "outputs_key"]

MAX_PROGRAM_CHARACTERS = 1_000_000
LIMITS = Limits()


def grade(
    program: str, tests: Sequence[str] | str, setup: str = "", entry_point: str | None = None, limits: Limits = LIMITS
) -> Verdict:
    """Whether a program passes its tests. Thread-safe; blocks until it is known.

    tests: assert statements (MBPP), or one text that defines `check(candidate)` (HumanEval, HumanEvalPack).
    setup: trusted code to run before the tests, such as MBPP's test_setup_code or what HumanEval's prompt has before
        the function: helpers that it defines are then not the program's to define. The program gets its imports.
    entry_point: the function under test; without it, the first name that the tests call and nothing else defines.

    The rule is "asserts" or "check", with a flag for whatever else the verdict rests on: "+program-names" where the
    tests use names of the program beside the entry point (classes of MBPP/367, 601 and 927), "+types" where
    they pass it type objects (533), "+modules" where they use a module that they do not import (596). These are as
    isolated as the others; but a test that lets the program make its own arguments proves less.

    Outcome "error" is a fault of the machine, tried twice, or tests that cannot be run; a program that ends itself,
    runs out of memory or time, or answers what cannot be read has failed. Raises UserError where this machine cannot
    confine a program (sandbox.grade_job).
    """
    if len(program) > MAX_PROGRAM_CHARACTERS:
        detail = f"the program has {len(program):,} characters, more than {MAX_PROGRAM_CHARACTERS:,}"
        return Verdict("fail", rule="size", detail=detail)
    listed = tests if isinstance(tests, str) else list(tests)
    job = {"asks": "verdict", "program": program, "tests": listed, "setup": setup, "entry_point": entry_point}
    return Verdict(answer=program, **pool.grade_job(job, limits))


def grade_found(
    found: Found, tests: Sequence[str] | str, setup: str = "", entry_point: str | None = None, limits: Limits = LIMITS
) -> Verdict:
    """The verdict of the program that was found in a reply (extract.py); it says how it was found. See `grade`."""
    if found.reading == "none":
        return Verdict("fail", None, "no-program", "the reply holds no program", reading="none")
    return replace(grade(found.program, tests, setup, entry_point, limits), reading=found.reading)


def outputs_key(
    program: str, shown: Sequence[str], setup: str = "", entry_point: str | None = None, limits: Limits = LIMITS
) -> str | None:
    """What programs share that answer alike: a digest of their answers to the calls in `shown` (output_digest.py).

    shown: test statements that the model was shown, of which only the calls are run. None where they show no call, or
    cannot be run. One process of the sandbox, whatever the number of calls; setup and entry_point as in `grade`.

    Raises UserError where the machine failed twice: no vote is lost silently.
    """
    try:
        tests = read_tests(list(shown), setup, entry_point)
    except TestsFaultError:
        return None
    if not any(next(shown_expressions(tree, tests.entry), None) for tree in tests.statements):
        return None
    job = {"asks": "outputs", "program": program, "tests": list(shown), "setup": setup, "entry_point": entry_point}
    answer = pool.grade_job(job, limits)
    if answer["rule"] == FAULT:
        raise UserError(f"A program could not be run for its vote ({answer['detail']}); give the same command again.")
    if answer["outcome"] == "error":
        return None
    return answer["detail"] if answer["outcome"] == "pass" else LOST
