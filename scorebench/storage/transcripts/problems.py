"""Finds the problem that a recorded dialogue answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from scorebench.api.errors import UserError
from scorebench.api.types import Problem
from scorebench.storage.transcripts.dialogue import Dialogue


class Finder:
    """Finds problems by the names that people give them, and by their text in a prompt.

    A name counts in any case (Mbpp/17), and as a number alone (17).
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = problems
        self.by_name = {problem.id.casefold(): problem for problem in problems}
        self.by_number: dict[str, list[Problem]] = {}
        self.by_text: dict[str, list[Problem]] = {}
        for problem in problems:
            self.by_number.setdefault(problem.id.rpartition("/")[2], []).append(problem)
            self.by_text.setdefault(squeezed(problem.text), []).append(problem)
        self.known_prompts: dict[str, str] = {}

    def _named(self, names: Iterable[Any]) -> Problem | None:
        return next((problem for name in names if (problem := self._by_name(name))), None)

    def _by_name(self, name: Any) -> Problem | None:
        if isinstance(name, int) and not isinstance(name, bool):
            name = str(name)
        if not isinstance(name, str):
            return None
        if name.isdecimal() and len(numbered := self.by_number.get(name, [])) == 1:
            return numbered[0]
        return self.by_name.get(name.casefold())

    def asked_in(self, prompt: str) -> list[Problem]:
        """The problems whose text stands in a prompt; where one text is a part of another, those of the longest."""
        prompt = squeezed(prompt)
        if prompt not in self.known_prompts:
            found = (text for text in self.by_text if text and text in prompt and _stands_alone(text, prompt))
            self.known_prompts[prompt] = max(found, key=len, default="")
        return self.by_text.get(self.known_prompts[prompt], [])

    def of(self, dialogue: Dialogue) -> tuple[Problem, int]:
        """The problem of a dialogue, and how many of its replies answer examples before the problem.

        Where several problems have the same text, the name decides. UserError where no problem is found.
        """
        shown, examples = self._shown(dialogue)
        if len(shown) == 1:
            return shown[0], examples
        named = self._named(dialogue.names)
        if named is None or (shown and named not in shown):
            raise UserError(self._complaint(dialogue))
        return named, examples

    def _shown(self, dialogue: Dialogue) -> tuple[list[Problem], int]:
        """The problems that have the text of the dialogue's problem, and the number of replies before it."""
        for text in dialogue.statements:
            if found := self.by_text.get(squeezed(text)):
                return found, 0
        for prompt, replies in dialogue.prompts:
            if found := self.asked_in(prompt):
                return found, replies
        return [], 0

    def _complaint(self, dialogue: Dialogue) -> str:
        names = [name for name in dialogue.names if name is not None]
        if not names and not dialogue.prompts and not dialogue.statements:
            fields = " or ".join(map(repr, dialogue.name_fields))
            return f"{dialogue.where} has no field {fields}: say which problem it answers."
        if not names:
            return f"{dialogue.where} holds the name or text of no problem of the test split: mend or remove it."
        return f"{dialogue.where} answers {names[0]!r:.80}, which is no problem of the test split: mend or remove it."


def squeezed(text: str) -> str:
    """A text with every run of white space as one space."""
    return " ".join(text.split())


def _stands_alone(text: str, prompt: str) -> bool:
    """Whether a text stands in a prompt as whole words, so that "1 + 1" is not found in "11 + 12"."""
    return re.search(rf"(?<!\w){re.escape(text)}(?!\w)", prompt) is not None
