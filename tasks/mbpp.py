"""MBPP: short Python programs from a sentence and three asserts (Austin et al. 2021), three-shot as in the paper.

The splits are the customary ones, by task_id. Ids are "MBPP/17".
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from scorebench.api.errors import UserError
from scorebench.api.protocols import Loaded, Source, Split
from scorebench.api.types import Message, Problem, Verdict
from scorebench.embedded import load_embedded
from scorebench.storage.datasets import MEND, Row, Table, load_table, require_unique

# The paper's prompts, verbatim (arXiv 2409.12917, appendix on prompts; the shots are tasks 2, 3 and 4).
PROMPT = (
    "You are an expert Python programmer, and here is your task: {text} "
    "Your code should pass these tests:\n\n{asserts}\n[BEGIN]\n"
)
SHOT = PROMPT + "{code}\n[DONE]\n\n"
SHOTS = (2, 3, 4)
CORRECTION = (
    "# There might be an error in the code above because of lack of understanding of the question. "
    "Please correct the error, if any, and rewrite the solution. Only output the final correct Python program!"
)
# Ours: the paper prints none for code beside the two above.
ANSWER_FORM = "Only output the final correct Python program!"

SPLITS: Mapping[Split, range] = {"test": range(11, 511), "validation": range(511, 601), "train": range(601, 975)}
# The four files hold the rows of Google's mbpp.jsonl (sha256 ccf64cea...): the dataset's card gives, for each of them,
# the size in memory that those rows have.
MBPP = Table(
    file="mbpp.jsonl",
    repo="google-research-datasets/mbpp",
    revision="4bb6404fdc6cacfda99d4ac4205087b89d32030c",
    paths=tuple(f"full/{part}-00000-of-00001.parquet" for part in ("prompt", "test", "validation", "train")),
    rows=974,
    fields={"task_id": int, "text": str, "code": str, "test_list": list, "test_setup_code": str},
    content="87c53fd1d1713dae85191c2acae6f0a122717856dccfbb41e4db4aca1f422046",
)

# In characters. Parsing costs memory many times the program's size, and it happens in this process.
LONGEST_VOTE = 50_000

if TYPE_CHECKING:
    from scorebench.grading.code.extract import Found


class Mbpp:
    """The task `mbpp`.

    A reference holds "tests" (assert statements), "setup" (code that the tests need), "gold" (the data set's own
    program) and "shots" (the problems that are solved in the prompt).
    """

    name = "mbpp"
    version = "2"
    world = "code"
    trained_on = "mbpp"
    correction = CORRECTION
    answer_form = ANSWER_FORM

    def load(self, split: Split, source: Source) -> Loaded:
        """The 500 test, 90 validation or 374 train problems. See protocols.Task.load."""
        if source.kind == "embedded":
            return load_embedded(self.name, split)
        problems, label = load_mbpp(source)
        return Loaded(tuple(problems[number] for number in SPLITS[split]), label)

    def first_prompt(self, problem: Problem) -> tuple[Message, ...]:
        """The solved shots and the problem, up to where its program begins."""
        solved = (SHOT.format(code=shot["gold"], **_asked(shot["text"], shot)) for shot in problem.reference["shots"])
        return (
            {"role": "user", "content": "".join(solved) + PROMPT.format(**_asked(problem.text, problem.reference))},
        )

    def grade(self, problem: Problem, reply: str) -> Verdict:
        """Whether the program of a reply passes all tests."""
        from scorebench.grading.code.grader import grade_found

        return grade_found(_found(problem, reply), problem.reference["tests"], problem.reference["setup"])

    def vote_key(self, problem: Problem, reply: str) -> str | None:
        """What the program answers to the calls of the prompt's asserts."""
        return vote_key(_found(problem, reply).program, problem.reference["tests"], problem.reference["setup"])

    def gold(self, problem: Problem) -> str:
        """A reply that must pass."""
        return problem.reference["gold"]

    def solution(self, problem: Problem) -> str:
        """The data set's own program, ended as the programs in the prompt are."""
        return problem.reference["gold"].rstrip() + "\n[DONE]"

    def trivial(self, problem: Problem) -> dict[str, str]:
        """Replies that must fail, by name."""
        from scorebench.grading.code.attacks import idle_program

        return {"an idle function": idle_program(_entry_point(problem))}

    def tricks(self, problem: Problem) -> dict[str, str]:
        """Replies that attack the grader, by name; they must fail."""
        from scorebench.grading.code.attacks import tricks_on

        return tricks_on(_entry_point(problem))


def load_mbpp(source: Source) -> tuple[dict[int, Problem], str]:
    """All 974 problems by task_id, and the label of their source."""
    rows, label = load_table(MBPP, source)
    require_unique(rows, "task_id")
    by_number = {row["task_id"]: row for row in rows}
    if missing := set(range(1, 975)) - by_number.keys():
        raise UserError(f"{MBPP.file} has no task_id {min(missing)}: {MEND}")
    shots = tuple({"text": by_number[number]["text"], **_reference(by_number[number])} for number in SHOTS)
    return {number: _problem(row, shots) for number, row in by_number.items()}, label


def _found(problem: Problem, reply: str) -> Found:
    """The program of a reply that defines what the problem's tests test."""
    from scorebench.grading.code.extract import read_program
    from scorebench.grading.code.test_parser import tested_names

    return read_program(reply, tested_names(problem.reference["tests"], problem.reference["setup"]))


def vote_key(program: str, shown: Sequence[str], setup: str, entry_point: str | None = None) -> str | None:
    """What programs share that do the same on the inputs shown in the prompt; a program that breaks down does so too.

    Where nothing is shown that can be run, the program without comments and layout. None for what is no Python, or is
    longer than LONGEST_VOTE.
    """
    from scorebench.grading.code.grader import outputs_key
    from scorebench.grading.code.python_text import syntax_tree

    if len(program) > LONGEST_VOTE:
        return None
    try:
        plain = ast.unparse(syntax_tree(program))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if not plain:
        return None
    return outputs_key(program, shown, setup, entry_point) or plain


def _problem(row: Row, shots: tuple[Mapping[str, object], ...]) -> Problem:
    if not row["text"].strip() or not row["test_list"]:
        raise UserError(f"{row.where} (task_id {row['task_id']}) has no text or no tests: {MEND}")
    return Problem(id=f"MBPP/{row['task_id']}", text=row["text"], reference={**_reference(row), "shots": shots})


def _reference(row: Row) -> dict[str, object]:
    # The upstream programs have Windows line ends; a prompt should not teach them.
    gold = row["code"].replace("\r\n", "\n")
    return {"tests": tuple(row["test_list"]), "setup": row["test_setup_code"], "gold": gold}


def _entry_point(problem: Problem) -> str:
    """The function that the tests test."""
    from scorebench.grading.code.test_parser import read_tests

    return read_tests(list(problem.reference["tests"]), problem.reference["setup"], None).entry


def _asked(text: str, reference: Mapping) -> dict[str, str]:
    return {"text": text, "asserts": "\n".join(reference["tests"])}


task = Mbpp()
