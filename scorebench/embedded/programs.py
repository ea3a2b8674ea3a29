"""The problems of the small world for code: write a function whose formula is given, except for one constant.

Every function is (a(x + b) + cx) % 17 of its argument b, written in the style of a subject. The problem gives a, c and
one value n of the function. To find the constant x, the model has to solve an equation of the small world for math. To
run a program on the given argument is to check a guess in that equation. So checking is easier than programming, for
the reason given in equations.py.

The same functions come in the shapes of three benchmarks: `mbpp` (a sentence and three asserts), `humaneval` (a
docstring with examples; the tests are hidden and use other arguments), `mbpp-r` (a wrong program to repair).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scorebench.api.protocols import Split
from scorebench.api.types import Problem
from scorebench.embedded.equations import LEVELS, MODULUS, Equation, equations, split_of

SIZES: dict[str, dict[Split, int]] = {
    "mbpp": {"train": 8_000, "validation": 500, "test": 800},
    "humaneval": {"validation": 400, "test": 600},
}
ASSERTS, EXAMPLES = 3, 2
# What the base model answered to the test problems of mbpp that it got wrong, frozen when it was made.
WRONG_PROGRAMS = Path(__file__).parent / "checkpoints" / "code" / "mbpp_r.jsonl"
ORIGIN = "embedded-code"


@dataclass(frozen=True)
class Idiom:
    """How a subject writes its functions: the name, the description, and the body of the program after the constant."""

    name: str
    finds: str
    body: str


SUBJECTS = {
    "Arithmetic": Idiom(
        "price",
        "({a} * (x + b) + {c} * x) % 17",
        "    return ({a} * (x + b) + {c} * x) % 17\n",
    ),
    "Lists": Idiom(
        "heap",
        "the sum modulo 17 of a list that holds {a} times x + b and {c} times x",
        "    return sum([x + b] * {a} + [x] * {c}) % 17\n",
    ),
    "Loops": Idiom(
        "hand",
        "where the hand of a clock of 17 hours is after {a} turns by x + b and {c} turns by x",
        "    at = 0\n    for _ in range({a}):\n        at += x + b\n    for _ in range({c}):\n        at += x\n"
        "    return at % 17\n",
    ),
    "Strings": Idiom(
        "ribbon",
        "what is left over in rows of 17 of a ribbon of {a} parts of x + b and {c} parts of x",
        '    return len("<" * (x + b) * {a} + ">" * x * {c}) % 17\n',
    ),
}
# The example in the sentence determines x. No other example has these words.
SENTENCE = "{finds}, where x is the number from 0 to 16 with which {name}({b}) is {n}."
MBPP_TEXT = "Write a function {name}(b) to find " + SENTENCE
DOCSTRING = 'def {name}(b):\n    """Find ' + SENTENCE + '\n{examples}    """\n'
EXAMPLE = "    >>> {name}({b})\n    {n}\n"
ASSERT = "assert {name}({b}) == {n}"
HEAD = "def {name}(b):\n"
CONSTANT = "    x = {x}\n"  # before the body


@dataclass(frozen=True)
class Question:
    """An equation told as a function, for one task (shape). arguments: further arguments that it is called with."""

    equation: Equation
    subject: str
    shape: str
    arguments: tuple[int, ...]

    @property
    def idiom(self) -> Idiom:
        return SUBJECTS[self.subject]

    @property
    def tags(self) -> dict[str, str | int]:
        return {"subject": self.subject, "level": self.equation.level}

    def told(self, template: str) -> str:
        """A template, filled with the formula, the name and the example of this function."""
        e = self.equation
        return template.replace("{finds}", self.idiom.finds).format(name=self.idiom.name, a=e.a, b=e.b, c=e.c, n=e.n)

    def body(self, x: int) -> str:
        return CONSTANT.format(x=x) + self.told(self.idiom.body)

    def program(self, x: int) -> str:
        """The program with the constant x."""
        return self.told(HEAD) + self.body(x)

    def values(self, form: str, name: str, arguments: Sequence[int]) -> list[str]:
        """The right values at some arguments, each written in a form such as ASSERT."""
        others = [replace(self.equation, b=b) for b in arguments]
        return [form.format(name=name, b=e.b, n=e.n) for e in others]

    def problem(self, name: str) -> Problem:
        """The question as a problem of its task."""
        return (self._mbpp if self.shape == "mbpp" else self._humaneval)(name)

    def _mbpp(self, name: str) -> Problem:
        tests = tuple(self.values(ASSERT, self.idiom.name, self.arguments[:ASSERTS]))
        reference = {"tests": tests, "setup": "", "gold": self.program(self.equation.x), "shots": ()}
        return Problem(name, self.told(MBPP_TEXT), reference, self.tags)

    def _humaneval(self, name: str) -> Problem:
        shown, hidden = self.arguments[:EXAMPLES], self.arguments[EXAMPLES:]
        examples = "".join(self.values(EXAMPLE, self.idiom.name, shown))
        text = self.told(DOCSTRING.replace("{examples}", examples))
        asserts = self.values(ASSERT, "candidate", hidden)
        reference = {
            "prompt": text,
            "entry_point": self.idiom.name,
            "tests": "def check(candidate):\n" + "".join(f"    {line}\n" for line in asserts),
            "gold": self.body(self.equation.x),
        }
        return Problem(name, text, reference, self.tags)


def questions(split: Split, rng: random.Random, shapes: Sequence[str] = tuple(SIZES)) -> Iterator[Question]:
    """Endless questions of a split, drawn evenly over subjects, levels and shapes. After a while they repeat."""
    subjects = tuple(SUBJECTS)
    while True:
        level, subject, shape = rng.choice(tuple(LEVELS)), rng.choice(subjects), rng.choice(shapes)
        e = next(e for e in equations(level, rng) if is_of(split, e))
        others = [b for b in range(1, MODULUS) if b != e.b]
        yield Question(e, subject, shape, tuple(rng.sample(others, ASSERTS + EXAMPLES)))


def is_of(split: Split, e: Equation) -> bool:
    """Whether a split has this function. It is the same split whatever its subject, shape and examples.

    The model for code begins as the one for math: so no function that is held out here comes with an equation that
    was trained on there.
    """
    return split_of(e.a, e.c, e.x) == split and (split == "train" or e.split != "train")


def problems(task: str, split: Split) -> tuple[Problem, ...]:
    """The published problems of a task's split: distinct, always the same; none for a split that the task lacks."""
    if task == "mbpp-r":
        return repairs() if split == "test" else ()
    size = SIZES[task].get(split, 0)
    found: dict[tuple, Problem] = {}
    for question in questions(split, random.Random(f"{task}/{split}"), [task]):
        if len(found) == size:
            break
        name = f"embedded/{task}/{split}/{len(found):04d}"
        found.setdefault((question.equation, question.subject), question.problem(name))
    return tuple(found.values())


def repairs() -> tuple[Problem, ...]:
    """The test problems of mbpp that the base model got wrong, each with its wrong program."""
    by_id = {problem.id: problem for problem in problems("mbpp", "test")}
    rows = [json.loads(line) for line in WRONG_PROGRAMS.read_text().splitlines()]
    return tuple(_repair(by_id[row["task_id"]], row["solution"]) for row in rows)


def _repair(problem: Problem, program: str) -> Problem:
    tags = {**problem.tags, "origin": ORIGIN}
    return replace(problem, id=f"{problem.id}/{ORIGIN}/0", given=program, tags=tags)
