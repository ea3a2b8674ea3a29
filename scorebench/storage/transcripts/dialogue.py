"""What every format is read into: a dialogue with the names of its problem, its prompt and its replies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scorebench.api.errors import UserError
from scorebench.api.text import is_text
from scorebench.api.types import Reply

PROGRAMS = ("completion", "solution")
LONGEST_REPLY = 1_000_000  # characters; the longest programs that are graded


@dataclass(frozen=True)
class Dialogue:
    """One recorded dialogue, before its problem is found.

    where: the place in the file, for complaints ("samples.jsonl, line 3").
    replies: the attempts, in order.
    names: what the row calls its problem, the best name first; an id, or the number at the end of one.
    statements: texts of which one may be the problem's own.
    prompts: messages that may hold the problem's text, each with the number of the replies before it. Replies before
        the message with the problem answer examples, and are no attempts.
    values: the row, to be written back with its verdicts; None where the row holds more than this dialogue.
    key: dialogues with the same key are one, of which the last counts; None where each row is its own.
    name_fields: the fields that could have named the problem, for the complaint where there is no name.
    """

    where: str
    replies: tuple[Reply, ...]
    names: tuple[Any, ...] = ()
    statements: tuple[str, ...] = ()
    prompts: tuple[tuple[str, int], ...] = ()
    values: Mapping[str, Any] | None = None
    key: object = None
    name_fields: Sequence[str] = field(default=("id", "task_id"))


def reply_of(text: Any, where: str, finish_reason: Any = "stop") -> Reply:
    """A recorded text as a reply; UserError where it is no text, or too long to be graded."""
    if not isinstance(text, str) or not is_text(text):
        raise UserError(f"{where} has {text!r:.40} where a reply should be, a text: mend or remove it.")
    if len(text) > LONGEST_REPLY:
        raise UserError(
            f"{where} has a reply of {len(text):,} characters, more than {LONGEST_REPLY:,}: shorten or remove it."
        )
    return Reply(text, finish_reason="length" if finish_reason == "length" else "stop")


def text_of(content: Any) -> Any:
    """The text of a message's content, which chat APIs give as a text or as a list of parts; else the content."""
    if isinstance(content, list) and all(isinstance(part, Mapping) for part in content):
        texts = [part["text"] for part in content if isinstance(part.get("text"), str)]
        return "".join(texts) if texts else content
    return content
