"""Arithmetic: sums and products of small numbers, in signs or in words, made by this file. For small real models.

The difficulty is the number of operations: 2 by default, from 1 to 6, set with `--task-args difficulty=3`. Each
operation adds a number of two digits or multiplies by one of one digit, from left to right. The splits are disjoint: a
hash of what is calculated decides, so that neither other words for it nor another order of its summands is in two.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated

from pydantic import Field

from scorebench.api.errors import UserError
from scorebench.api.protocols import Loaded, Source, Split
from scorebench.api.types import Message, Problem
from scorebench.tasks.math import Math

ANSWER_FORM = 'At the end, write "Final Answer: The final answer is $answer$."'
PROMPT = "{text} Show your steps. " + ANSWER_FORM
CORRECTION = (
    "There might be an error in the solution above. Please correct the error, if any, and rewrite the solution. "
    + ANSWER_FORM
)
COUNTS: dict[Split, int] = {"train": 3_000, "validation": 200, "test": 500}

Step = tuple[str, int]  # "+" or "*", and the number


@dataclass(frozen=True)
class Arithmetic(Math):
    """The task `arithmetic`. A reference is the result, in digits."""

    difficulty: Annotated[int, Field(ge=1, le=6)] = 2

    name = "arithmetic"
    version = "1"
    world = ""  # the embedded models do not play it
    trained_on = "arithmetic"
    correction = CORRECTION
    answer_form = ANSWER_FORM

    def load(self, split: Split, source: Source) -> Loaded:
        """The problems of a split: 3,000 train, 200 validation, 500 test; always the same ones at a difficulty."""
        if source.kind == "folder":
            raise UserError("The problems of arithmetic are generated and not read from files: leave --data out.")
        made = self._generated(split)
        problems = (_problem(f"{self.difficulty}/{split}/{n:04}", *next(made)) for n in range(COUNTS[split]))
        return Loaded(tuple(problems), "generated")

    def _generated(self, split: Split) -> Iterator[tuple[int, list[Step]]]:
        """Calculations of the split, each of them once: the number to start with, and the steps."""
        draw = random.Random(f"arithmetic {self.difficulty} {split}")
        seen = set()
        while True:
            start = draw.randint(10, 99)
            steps: list[Step] = [
                ("*", draw.randint(2, 9)) if draw.random() < 0.3 else ("+", draw.randint(10, 99))
                for _ in range(self.difficulty)
            ]
            what = _canonical(start, steps)
            if what not in seen and _split_of(what) == split:
                seen.add(what)
                yield start, steps

    def first_prompt(self, problem: Problem) -> tuple[Message, ...]:
        """The problem, and the form of the answer; short, because small models are slow on small machines."""
        return ({"role": "user", "content": PROMPT.format(text=problem.text)},)

    def solution(self, problem: Problem) -> str:
        """Each step with its result, and the answer in the form that the prompt asks for."""
        return f"{problem.solution} Final Answer: The final answer is ${problem.reference}$."


def _canonical(start: int, steps: list[Step]) -> str:
    """What is calculated, with the numbers of each run of one operation in order: 23 + 45 and 45 + 23 are the same."""
    numbers = [(steps[0][0], start), *steps]
    runs = [(sign, sorted(number for _, number in run)) for sign, run in groupby(numbers, key=lambda step: step[0])]
    return repr(runs)


def _split_of(what: str) -> Split:
    """The split that a calculation belongs to: a hash decides, 70 % train, 10 % validation, 20 % test."""
    place = int(hashlib.sha256(what.encode()).hexdigest(), 16) % 10
    return "train" if place < 7 else "validation" if place == 7 else "test"


def _problem(name: str, start: int, steps: list[Step]) -> Problem:
    value, worked = start, []
    for sign, number in steps:
        result = value + number if sign == "+" else value * number
        worked.append(f"{value} {sign} {number} = {result}")
        value = result
    form = "signs" if int(name[-1]) % 2 else "words"
    text = _in_signs(start, steps) if form == "signs" else _in_words(start, steps)
    tags = {"form": form, "products": sum(sign == "*" for sign, _ in steps)}
    return Problem(name, text, str(value), tags, solution=", ".join(worked) + ".")


def _in_signs(start: int, steps: list[Step]) -> str:
    shown, last = str(start), ""
    for sign, number in steps:
        inner = f"({shown})" if (last, sign) == ("+", "*") else shown
        shown, last = f"{inner} {sign} {number}", sign
    return f"What is {shown}?"


def _in_words(start: int, steps: list[Step]) -> str:
    said = [f"add {number}" if sign == "+" else f"multiply by {number}" for sign, number in steps]
    return f"Start with {start}, then {', then '.join(said)}. What do you get?"


task = Arithmetic()
