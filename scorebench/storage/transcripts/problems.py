"""Finds the problem that a recorded dialogue answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from scorebench.api.errors import UserError
from scorebench.api.types import Problem
from scorebench.storage.transcripts.dialogue import Dialogue


class Finder:
    """Finds problems by the names that people give them, in any case (Mbpp/17, 17), and by their text in a prompt."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.by_name = {problem.id.casefold(): problem for problem in problems}
        self.by_number: dict[str, list[Problem]] = {}
        self.by_text: dict[str, list[Problem]] = {}
        for problem in problems:
            self.by_number.setdefault(problem.id.rpartition("/")[2], []).append(problem)
            self.by_text.setdefault(squeezed(problem.text), []).append(problem)
        self.known_prompts: dict[str, str] = {}

    def of(self, dialogue: Dialogue) -> tuple[Problem, int]:
        """The problem of a dialogue, and how many of its replies answer examples before the problem.

        A whole name comes first, then the text. A number comes last, because other tools number rows in their own way.
        UserError where no problem is found, or several of the same text.
        """
        named = next((self.by_name[name] for name in _whole_names(dialogue.names) if name in self.by_name), None)
        if named is not None:
            return named, next((replies for found, replies in self._shown(dialogue) if named in found), 0)
        numbered = next((found for name in dialogue.names if (found := self._numbered(name))), None)
        shown, examples = next(self._shown(dialogue), ([], 0))
        if len(shown) == 1:
            return shown[0], examples
        if numbered is None or (shown and numbered not in shown):
            raise UserError(_complaint(dialogue, shown))
        return numbered, examples

    def _numbered(self, name: Any) -> Problem | None:
        """The only problem whose id ends in this number."""
        is_number = isinstance(name, int) and not isinstance(name, bool)
        if not is_number and not (isinstance(name, str) and name.isdecimal()):
            return None
        found = self.by_number.get(str(name), [])
        return found[0] if len(found) == 1 else None

    def _shown(self, dialogue: Dialogue) -> Iterator[tuple[list[Problem], int]]:
        """The problems whose text each of the texts of a dialogue holds, and the number of replies before it."""
        for text in dialogue.statements:
            if found := self.by_text.get(squeezed(text)):
                yield found, 0
        for prompt, replies in dialogue.prompts:
            if found := self._asked_in(squeezed(prompt)):
                yield found, replies

    def _asked_in(self, prompt: str) -> list[Problem]:
        """The problems whose text stands in a prompt; where one text is a part of another, those of the longest."""
        if prompt not in self.known_prompts:
            found = (text for text in self.by_text if text and text in prompt and _stands_alone(text, prompt))
            self.known_prompts[prompt] = max(found, key=len, default="")
        return self.by_text.get(self.known_prompts[prompt], [])


def _whole_names(names: Iterable[Any]) -> Iterator[str]:
    return (name.casefold() for name in names if isinstance(name, str) and not name.isdecimal())


def _complaint(dialogue: Dialogue, shown: Sequence[Problem]) -> str:
    names = [name for name in dialogue.names if name is not None]
    if shown:
        ids = " and of ".join(problem.id for problem in shown[:3])
        return f"{dialogue.where} holds the text of {ids}, which is the same: say which of them with 'id'."
    if names:
        which = f"answers {names[0]!r:.80}, which is no problem of the test split"
        return f"{dialogue.where} {which}: mend or remove it, or name its data with --data."
    if dialogue.prompts or dialogue.statements:
        return f"{dialogue.where} holds the name or text of no problem of the test split: mend or remove it."
    fields = " or ".join(map(repr, dialogue.name_fields))
    return f"{dialogue.where} has no field {fields}: say which problem it answers."


def squeezed(text: str) -> str:
    """A text with every run of white space as one space."""
    return " ".join(text.split())


def _stands_alone(text: str, prompt: str) -> bool:
    """Whether a text stands in a prompt as whole words, so that "1 + 1" is not found in "11 + 12"."""
    return re.search(rf"(?<!\w){re.escape(text)}(?!\w)", prompt) is not None
