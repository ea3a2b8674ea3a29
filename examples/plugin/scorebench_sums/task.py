"""Sums: five sums of small numbers, told in words."""

from __future__ import annotations

from scorebench import Loaded, Message, Problem, Source, Split, UserError, Verdict
from scorebench.grading.math import grade

SUMS = {
    "apples": ("Ida has 3 apples and gets 4 more. How many has she?", "7"),
    "birds": ("Of 9 birds 5 fly away. How many stay?", "4"),
    "cards": ("4 children have 6 cards each. How many cards are there?", "24"),
    "doors": ("A house has 12 doors and 7 are shut. How many are open?", "5"),
    "eggs": ("15 eggs lie in boxes of 5. How many boxes are there?", "3"),
}


class Sums:
    """The task `sums`. Training and test use the same five problems: an example, and no benchmark."""

    name = "sums"
    about = "Sums: five sums of small numbers, told in words."
    version = "1"
    world = "math"
    trained_on = "sums"
    answer_form = "End with: Final Answer: The final answer is $answer$."
    correction = "There might be an error in the solution above. Please solve the problem again. " + answer_form

    def load(self, split: Split, source: Source) -> Loaded:
        """The problems, which are part of this file: there is no other source than "embedded"."""
        if source.kind != "embedded":
            raise UserError("The problems of sums are in its package; add --data embedded.")
        problems = [Problem(f"sums/{name}", text, answer) for name, (text, answer) in SUMS.items()]
        return Loaded(tuple(problems), "embedded")

    def first_prompt(self, problem: Problem) -> tuple[Message, ...]:
        """The messages before attempt 1."""
        return ({"role": "user", "content": f"{problem.text} {self.answer_form}"},)

    def grade(self, problem: Problem, reply: str) -> Verdict:
        """Whether the last answer that the reply states equals the reference."""
        return grade(reply, problem.reference)

    def vote_key(self, problem: Problem, reply: str) -> str | None:
        """Replies with the same answer are one vote."""
        return self.grade(problem, reply).answer

    def gold(self, problem: Problem) -> str:
        """A reply that must pass; `scorebench validate` needs it."""
        return f"Final Answer: The final answer is ${problem.reference}$."


task = Sums()
