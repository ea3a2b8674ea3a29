"""Replies and programs with the verdict that is right, written after what users of such harnesses reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scorebench.api.types import Problem, Verdict
from scorebench.grading.code.grader import grade
from scorebench.tasks import humaneval, mbpp

HERE = Path(__file__).parent
CASES = [json.loads(line) for line in (HERE / "cases.jsonl").read_text(encoding="utf-8").splitlines()]
PROBLEMS = {
    name: Problem(**fields)
    for name, fields in json.loads((HERE / "case_problems.json").read_text(encoding="utf-8")).items()
}


def verdict_of(case: dict[str, Any]) -> Verdict:
    if case["kind"] == "program":
        return grade(case["text"], case["tests"])
    task = {"mbpp": mbpp.task, "humaneval": humaneval.task}[case["kind"]]
    return task.grade(PROBLEMS[case["kind"]], case["text"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['id']} {case['note']}")
def test_the_verdict_is_right(case: dict[str, Any]):
    verdict = verdict_of(case)
    assert verdict.outcome == case["want"], verdict
