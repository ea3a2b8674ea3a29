"""A task that a random tiny model half solves: a reply passes if it begins with an ASCII character."""

from __future__ import annotations

from scorebench.api.protocols import Loaded, Source, Split
from scorebench.api.types import Message, Problem, Verdict


class Toy:
    name = "toy"
    version = "1"
    world = "math"
    trained_on = "math"
    correction = "again"
    answer_form = "begin with ASCII"

    def load(self, split: Split, source: Source) -> Loaded:
        return Loaded(tuple(Problem(f"{split}/{i}", f"say {i}", "ascii") for i in range(32)), "embedded")

    def first_prompt(self, problem: Problem) -> tuple[Message, ...]:
        return ({"role": "user", "content": problem.text},)

    def grade(self, problem: Problem, reply: str) -> Verdict:
        return Verdict("pass" if reply[:1].isascii() and reply else "fail", answer=reply[:1], rule="first-character")

    def vote_key(self, problem: Problem, reply: str) -> str | None:
        return reply[:1] or None
