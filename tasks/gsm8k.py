"""GSM8K: grade-school word problems whose answer is a number (Cobbe et al. 2021), with MATH's prompts and grader.

The data set's answers end in "#### NUMBER"; what stands before it is the solution, with calculations in << >>.
test: the 1,319 problems of its test split. train and validation: its 7,473 train problems; validation is a hold-out of
1 in 24.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from scorebench.api.errors import UserError
from scorebench.api.protocols import Loaded, Source, Split
from scorebench.api.types import Problem
from scorebench.embedded import load_embedded
from scorebench.storage.datasets import MEND, Row, Table, load_table
from scorebench.tasks.math import Math, is_held_out, stated

_HUB = {"repo": "openai/gsm8k", "revision": "cc7b047b6e5bb11b4f1af84efc572db110a51b3c"}
_FIELDS = {"question": str, "answer": str}
TEST = Table("gsm8k_test.jsonl", paths=("main/test-00000-of-00001.parquet",), rows=1_319, fields=_FIELDS, **_HUB)
TRAIN = Table("gsm8k_train.jsonl", paths=("main/train-00000-of-00001.parquet",), rows=7_473, fields=_FIELDS, **_HUB)

_ANSWER = re.compile(r"(?P<solution>.*)\n#### *(?P<answer>-?[\d,]*\.?\d+) *\Z", re.DOTALL)
_CALCULATION = re.compile(r"<<[^<>]*>>")


@dataclass(frozen=True)
class Gsm8k(Math):
    """The task `gsm8k`. A reference is the number behind ####, without the commas between thousands."""

    name = "gsm8k"
    version = "1"
    trained_on = "gsm8k"

    def load(self, split: Split, source: Source) -> Loaded:
        """All problems of a split; train and validation are 7,473 together. See protocols.Task.load."""
        if source.kind == "embedded":
            return load_embedded(self.name, split)
        rows, label = load_table(TEST if split == "test" else TRAIN, source)
        whole = "test" if split == "test" else "train"
        problems = [_problem(f"{whole}/{number:04}", row) for number, row in enumerate(rows)]
        if split != "test":
            problems = [problem for problem in problems if is_held_out(problem.id) == (split == "validation")]
        return Loaded(tuple(problems), label)

    def solution(self, problem: Problem) -> str:
        """The data set's solution in the form that the prompt asks for."""
        return f"{problem.solution}\n{stated(problem.reference)}"


def _problem(name: str, row: Row) -> Problem:
    found = _ANSWER.match(row["answer"])
    if found is None or not row["question"].strip():
        raise UserError(f"{row.where} has no question, or no number behind ####: {MEND}")
    solution = _CALCULATION.sub("", found["solution"])
    return Problem(name, row["question"], found["answer"].replace(",", ""), solution=solution)


task = Gsm8k()
