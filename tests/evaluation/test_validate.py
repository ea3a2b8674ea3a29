"""`scorebench validate` sees a grader that is too kind, too strict, or broken."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

import pytest

from scorebench.api.errors import UserError
from scorebench.api.protocols import Source
from scorebench.api.types import Problem, Verdict
from scorebench.evaluation.validate import TRIVIAL, Report, as_text, validate
from scorebench.grading.code import attacks
from tests.toy import Toy

EMBEDDED = Source("embedded")


class Honest(Toy):
    """A reply passes that says "gold" and nothing else."""

    def gold(self, problem: Problem) -> str:
        return "gold"

    def grade(self, problem: Problem, reply: str) -> Verdict:
        return Verdict("pass" if reply == "gold" else "fail", rule="honest")

    def tricks(self, problem: Problem) -> Mapping[str, str]:
        return {"shout": "GOLD!", "whisper": f"gold for {problem.id}"}


class Kind(Honest):
    """Is taken in by one trick, on one problem."""

    def grade(self, problem: Problem, reply: str) -> Verdict:
        return Verdict("pass") if reply == "gold for test/7" else super().grade(problem, reply)


class Strict(Honest):
    """Refuses one gold answer."""

    def grade(self, problem: Problem, reply: str) -> Verdict:
        return Verdict("fail", rule="strict") if problem.id == "train/3" else super().grade(problem, reply)


class Broken(Honest):
    """Breaks down on an empty reply."""

    def grade(self, problem: Problem, reply: str) -> Verdict:
        return Verdict("fail", rule=reply[0:1] or str(1 / 0)) if reply != "gold" else Verdict("pass")


class Unconfined(Honest):
    def grade(self, problem: Problem, reply: str) -> Verdict:
        raise UserError("this machine cannot confine a program")


def failures(report: Report) -> set[tuple[str, str]]:
    return {(failure.check.problem.id, failure.check.name) for failure in report.failures}


def test_an_honest_task_holds() -> None:
    report = validate(Honest(), EMBEDDED)
    assert report.holds
    assert report.problems == {"train": 32, "validation": 32, "test": 32}
    assert report.done == {name: 96 for name in (*TRIVIAL, "gold", "the problem itself")} | {"tricks": 6}
    assert "All of it holds." in as_text(report)


def test_one_gold_answer_that_fails_is_named() -> None:
    report = validate(Strict(), EMBEDDED)
    assert failures(report) == {("train/3", "gold")}
    assert "train/3, gold: fail, not pass (strict: )" in as_text(report)
    assert "1 checks do not hold." in as_text(report)


def test_one_trick_that_passes_is_named_when_every_trick_meets_every_problem() -> None:
    report = validate(Kind(), EMBEDDED, thorough=True)
    assert failures(report) == {("test/7", "whisper")}
    assert report.done["tricks"] == 2 * 96


def test_an_error_is_no_failure_of_the_reply() -> None:
    report = validate(Broken(), EMBEDDED, limit=2)
    assert {name for _, name in failures(report)} == {"an empty reply"}
    assert len(report.failures) == 6


def test_a_given_attempt_must_fail() -> None:
    class Given(Honest):
        splits = ("test",)

        def load(self, split, source):
            from scorebench.api.protocols import Loaded

            return Loaded((Problem("a", "", "", given="gold"),), "embedded")

    assert failures(validate(Given(), EMBEDDED)) == {("a", "the given attempt")}


def test_what_the_user_must_mend_stops_it() -> None:
    with pytest.raises(UserError, match="cannot confine"):
        validate(Unconfined(), EMBEDDED, limit=1)
    with pytest.raises(UserError, match="no gold answers"):
        validate(Toy(), EMBEDDED)


def test_every_trick_is_fitted_to_the_function_asked_for() -> None:
    fitted = attacks.tricks_on("min_cost")
    assert len(fitted) >= 25
    for name, program in fitted.items():
        assert not re.search(r"\bsolution\b", program), name
        for node in ast.walk(ast.parse(program)):
            if isinstance(node, ast.FunctionDef) and node.name == "min_cost":
                assert node.args.vararg, f"{name} would not survive a call with two arguments"
                assert node.args.kwarg, name
    at_import = {"os_exit_at_import", "sys_exit_at_import"}
    assert all("min_cost" in program for name, program in fitted.items() if name not in at_import)
