"""MATH: competition problems with an exact answer (Hendrycks et al. 2021), split as by Lightman et al. (2023).

test: MATH500. train and validation: the other 12,000 problems, less the two that have no answer. Validation is a fixed
hold-out of 1 in 24 for the choice of settings; no table shows it.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass, replace
from typing import Literal

from scorebench.api.errors import UserError
from scorebench.api.protocols import Loaded, Source, Split
from scorebench.api.types import Message, Problem, Verdict
from scorebench.embedded import load_embedded
from scorebench.storage.datasets import MEND, Row, Table, load_table, require_unique

# The paper's prompts, verbatim (arXiv 2409.12917, appendix on prompts).
ANSWER_FORM = (
    "At the end of the Solution, when you give your final answer, write it in the form "
    '"Final Answer: The final answer is $answer$. I hope it is correct."'
)
PROMPT = (
    "You are a math expert. When you respond, respond only with the Solution of the final Problem, "
    "thinking step by step. " + ANSWER_FORM
)
CORRECTION = (
    "There might be an error in the solution above because of lack of understanding of the question. "
    "Please correct the error, if any, and rewrite the solution. Only output the final solution! " + ANSWER_FORM
)

FIELDS = {"unique_id": str, "problem": str, "solution": str, "answer": str, "subject": str}
# OpenAI's prm800k/math_splits/test.jsonl, byte for byte (sha256 35dc4108...).
MATH500 = Table(
    file="math500.jsonl",
    repo="HuggingFaceH4/MATH-500",
    revision="6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
    paths=("test.jsonl",),
    rows=500,
    fields=FIELDS,
    content="0d8ea3cda0964298fa139430b8ce6028721f9242e773972da9bfdb3b33a98c46",
)
# The rows of OpenAI's prm800k/math_splits/train.jsonl: 7,500 of MATH's train split and the 4,500 of its test split that
# are not in MATH500. In a folder, the same problems from MATH itself; some differ in white space.
TRAIN12K = Table(
    file="math_train12k.jsonl",
    repo="nlile/hendrycks-MATH-benchmark",
    revision="465bcdb36f5962aa3512891498966df785fc3c18",
    paths=("data/train-00000-of-00001.parquet",),
    rows=12_000,
    fields=FIELDS,
)
# Faults of the published data, by name. Any other row without an answer or a level stops the load.
NO_ANSWER = frozenset({"train/number_theory/7115.json", "train/number_theory/7117.json"})
NO_LEVEL = frozenset({"train/geometry/377.json", "train/geometry/471.json"})
# MATH has this problem twice, and prm800k's split gives both copies the second one's id. We take the first for the copy
# of MATH's train split; their texts and answers are the same.
SHARED_ID, TRAIN_COPY = "test/precalculus/24307.json", "train/geometry/6032.json"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Math:
    """The task `math`. A reference is the answer as the data set has it, in LaTeX.

    reading: how an answer is found in a reply: "strict" takes it only in the form that the prompt asks for.
    """

    reading: Literal["loose", "strict"] = "loose"

    name = "math"
    version = "2"
    world = "math"
    trained_on = "math"
    correction = CORRECTION
    answer_form = ANSWER_FORM

    def load(self, split: Split, source: Source) -> Loaded:
        """All problems of a split; train and validation are 11,998 together. See protocols.Task.load."""
        if source.kind == "embedded":
            return load_embedded(self.name, split)
        rows, label = load_table(MATH500 if split == "test" else TRAIN12K, source)
        rows = _told_apart(rows)
        require_unique(rows, "unique_id")
        problems = [_problem(row) for row in rows if row["unique_id"] not in NO_ANSWER]
        if left_out := len(rows) - len(problems):
            names = ", ".join(sorted(NO_ANSWER))
            log.warning("math: %d of %d train problems have no answer and are left out: %s", left_out, len(rows), names)
        if split != "test":
            problems = [problem for problem in problems if is_held_out(problem.id) == (split == "validation")]
        return Loaded(tuple(problems), label)

    def first_prompt(self, problem: Problem) -> tuple[Message, ...]:
        """The paper's prompt and the problem, zero-shot."""
        return ({"role": "user", "content": f"{PROMPT}\n\n{problem.text}"},)

    def grade(self, problem: Problem, reply: str) -> Verdict:
        """Whether the answer that a reply states equals the reference; flagged where it only repeats the problem."""
        from scorebench.grading.math.grader import grade

        verdict = grade(reply, problem.reference, self.reading)
        return replace(verdict, echo=_is_echo(problem, verdict.answer))

    def vote_key(self, problem: Problem, reply: str) -> str | None:
        """The candidate that the reply's answer votes for; None without an answer."""
        from scorebench.grading.math.extract import find_answer
        from scorebench.grading.math.votes import vote_key

        found = find_answer(reply)
        return vote_key(problem.reference, found.answer) if found else None

    def gold(self, problem: Problem) -> str:
        """A reply that must pass."""
        return stated(problem.reference)

    def solution(self, problem: Problem) -> str:
        """The worked solution of the data set, with the answer stated in the form that the prompt asks for."""
        return f"{problem.solution}\n{self.gold(problem)}" if problem.solution else self.gold(problem)

    def trivial(self, problem: Problem) -> dict[str, str]:
        """Replies that must fail, by name; no problem of MATH has this number for an answer."""
        return {
            "another answer": stated("-987654321"),
            "an empty answer": stated(""),
            "an empty box": r"The answer is \boxed{}.",
            "the reference, only thought": f"<think>{stated(problem.reference)}</think> I do not know.",
            "the reference, taken back": stated(problem.reference) + " No. " + stated("-987654321"),
        }


def _is_echo(problem: Problem, answer: str | None) -> bool:
    """Whether an answer stands word for word in the problem, and the reference does not; spaces do not count."""
    text = "".join(problem.text.split())

    def stands(part: str) -> bool:
        squashed = "".join(part.split())
        whole = rf"(?<![0-9A-Za-z.]){re.escape(squashed)}(?![0-9A-Za-z]|\.[0-9])"
        return bool(squashed) and re.search(whole, text) is not None

    return answer is not None and stands(answer) and not stands(problem.reference)


def stated(answer: str) -> str:
    """An answer in the form that the prompt asks for."""
    return f"Final Answer: The final answer is ${answer}$. I hope it is correct."


def is_held_out(problem_id: str) -> bool:
    """Whether a train problem belongs to validation: a hash of its id decides, for about 1 in 24."""
    return int(hashlib.sha256(problem_id.encode()).hexdigest(), 16) % 24 == 0


def _problem(row: Row) -> Problem:
    level = row.values.get("level")
    if not row["answer"].strip() or not row["problem"].strip():
        raise UserError(f"{row.where} ({row['unique_id']}) has no problem or no answer: {MEND}")
    if level not in range(1, 6) and row["unique_id"] not in NO_LEVEL:
        raise UserError(f"{row.where} ({row['unique_id']}) has the level {level!r}, not 1 to 5: {MEND}")
    tags = {"subject": row["subject"], "level": level or "unknown"}
    return Problem(row["unique_id"], row["problem"], row["answer"], tags, solution=row["solution"].strip() or None)


def _told_apart(rows: list[Row]) -> list[Row]:
    """The rows with an id of its own for each copy of the problem that is there twice."""
    copies = [index for index, row in enumerate(rows) if row["unique_id"] == SHARED_ID]
    if len(copies) == 2:
        first = rows[copies[0]]
        rows[copies[0]] = replace(first, values={**first.values, "unique_id": TRAIN_COPY})
    return rows


task = Math()
