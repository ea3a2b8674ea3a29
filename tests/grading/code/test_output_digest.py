"""Votes of programs: agreement on the inputs that everybody is shown, and nothing about being right."""

from __future__ import annotations

import ast
import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorebench.api.errors import UserError
from scorebench.api.protocols import Source
from scorebench.grading.code.grader import outputs_key
from scorebench.grading.code.output_digest import LOST, canonical, shown_expressions
from scorebench.grading.sandbox import pool
from scorebench.grading.sandbox.linux import Limits
from scorebench.tasks import mbpp
from tests.hub import real_data

SHOWN = ["assert f(3) == [1, 2, 3]", "assert set(f(2)) == {1, 2}"]
GOOD = "def f(n):\n    return list(range(1, n + 1))"


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("assert f(1) == 2", ["f(1)"]),
        ("assert 2 == f(f(1))", ["f(f(1))"]),
        ("assert set(f([3])) == set((3,))", ["set(f([3]))"]),
        ("assert sorted(set(f(1))) == [2]", ["sorted(set(f(1)))"]),
        ("assert math.floor(f(1)) == 2", ["math.floor(f(1))"]),
        ("assert not f(1)", ["f(1)"]),
        ("assert f(1) and f(2)", ["f(1)", "f(2)"]),
        ("assert math.isclose(f(1), 2.5, rel_tol=0.1)", ["f(1)"]),
        ("assert abs(f(1) - 2.5) < 0.1", ["f(1)"]),
        ("assert f(1).keys() == {2}", ["f(1)"]),
        ("f(1) == 2", ["f(1)"]),
        ("x = 1", []),
        ("assert g(1) == 2", []),
    ],
)
def test_only_the_call_is_run_and_what_alone_is_around_it(statement: str, shown: list[str]) -> None:
    assert [ast.unparse(node) for node in shown_expressions(ast.parse(statement), "f")] == shown


TENTH, HALF = Fraction(1, 10), Fraction(1, 2)
LEAVES = [0, -0.0, 1, 1.0, True, 1j, 2**70, 2.0**70, 0.1, TENTH, Decimal("0.1"), 0.5, HALF, Decimal("0.50"), 0.5 + 0j]
leaves = st.sampled_from([*LEAVES, float("inf"), "", "1", "1/1", "None", None, b"1", bytearray(b"1"), range(2)])
hashable = st.recursive(leaves.filter(lambda leaf: type(leaf) is not bytearray), lambda inner: st.tuples(inner, inner))
values = st.recursive(
    leaves | st.sets(hashable, max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(hashable, inner, max_size=2),
    max_leaves=3,
)


@given(values, values)
def test_values_have_one_text_exactly_if_they_are_equal(one: Any, other: Any) -> None:
    assert (canonical(one) == canonical(other)) == (one == other)


def test_order_of_insertion_and_long_integers_make_no_difference() -> None:
    assert canonical({"a": {1, 2}, "b": {}}) == canonical({"b": {}, "a": {2, 1}})
    assert canonical({1: 2}.keys()) == canonical({1})
    assert canonical(10**5000) != canonical(10**5000 + 1)


def key(program: str, shown: list[str] | None = None, **limits: int) -> str | None:
    return outputs_key(program, SHOWN if shown is None else shown, limits=Limits(**limits))


def test_programs_that_answer_alike_are_one_vote() -> None:
    assert key(GOOD) == key("f = lambda n: [i + 1 for i in range(n)]")
    assert key(GOOD) != key("def f(n):\n    return list(range(n))")
    assert key(GOOD) != key("def f(n):\n    return tuple(range(1, n + 1))")
    assert key(GOOD) == key("def f(n):\n    return [1, 2, 3] if n == 3 else (2, 1, 1)")  # set(f(2)) is what is compared


def test_the_expected_value_takes_no_part() -> None:
    others = ["assert f(3) == 'wrong'", "assert set(f(2)) == undefined(1 / 0)"]
    assert key(GOOD, others) == key(GOOD)


def test_a_crash_is_an_answer_by_its_kind() -> None:
    raising = {
        kind: key(f"def f(n):\n    raise {kind}('{text}')") for kind, text in (("ValueError", 1), ("KeyError", 2))
    }
    assert raising["ValueError"] == key("def f(n):\n    raise ValueError('another text')")
    ends = key("import sys\ndef f(n):\n    sys.exit(n)")
    assert ends == key("import os\ndef f(n):\n    os._exit(0)")
    assert ends == key("def f(n):\n    while True: pass", cpu_seconds=1)
    assert ends == key("1 / 0")
    absent = key("def g(n):\n    return n")
    keys = [key(GOOD), raising["ValueError"], raising["KeyError"], ends, absent]
    assert len(set(keys)) == len(keys)
    half = key("import sys\ndef f(n):\n    return [1, 2, 3] if n == 3 else sys.exit()")
    assert half not in keys


def test_objects_that_claim_to_be_equal_are_objects() -> None:
    program = (
        "class A:\n    def __eq__(self, other): return True\n    def __hash__(self): return 1\ndef f(n): return A()"
    )
    shown = ["assert f(3) == [1, 2, 3]"]
    assert key(program, shown) == key("def f(n): return object()", shown)
    assert key(program, shown) != key(GOOD, shown)


def test_an_answer_that_keeps_the_test_runner_busy_for_too_long_is_a_vote_too(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"outcome": "fail", "rule": "", "detail": "comparing the program's answers took too long"}
    monkeypatch.setattr(pool, "grade_job", lambda job, limits: answer)
    assert key(GOOD) == LOST


def test_nothing_shown_is_no_key() -> None:
    assert key(GOOD, []) is None
    assert key(GOOD, ["x = 1"]) is None
    assert key(GOOD, ["assert f(1"]) is None


def test_one_process_a_program_and_the_same_key_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[Any] = []
    real = pool.grade_job

    def counted(job: dict[str, Any], limits: Limits) -> dict[str, Any]:
        jobs.append(job)
        return real(job, limits)

    monkeypatch.setattr(pool, "grade_job", counted)
    program = "import random\ndef f(n):\n    return [random.random(), {'b', 'a', n and 'c'}]"
    assert len({key(program) for _ in range(3)}) == 1
    assert len(jobs) == 3


def test_a_fault_of_the_machine_is_no_vote_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"outcome": "error", "rule": "sandbox", "detail": "sandbox: no new process"}
    monkeypatch.setattr(pool, "grade_job", lambda job, limits: answer)
    with pytest.raises(UserError, match="no new process"):
        key(GOOD)


def test_programs_of_real_models_agree_with_the_gold_program_exactly_if_they_pass() -> None:
    """MBPP shows all of its asserts, so that there agreement with a right program is being right."""
    data = real_data()
    problems, _ = mbpp.load_mbpp(Source("folder", data))
    with gzip.open(data / "mbpp_llm_programs_ldb.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file][::20]

    def agrees(row: dict[str, Any]) -> bool:
        problem = problems[int(str(row["task_id"]).rpartition("/")[2])]
        program = mbpp.task.vote_key(problem, row["solution"])
        return program is not None and program == mbpp.task.vote_key(problem, mbpp.task.gold(problem))

    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(agrees, rows))
    assert found == [row["rerun_pass_py311"] for row in rows]
