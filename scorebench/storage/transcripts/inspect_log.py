"""Inspect's logs, .eval and .json, read by inspect_ai itself (the extra `inspect`)."""

# pyright: reportMissingImports=false

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorebench.api.errors import UserError
from scorebench.storage.transcripts.dialogue import Dialogue
from scorebench.storage.transcripts.rows import chat_of

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample

ATTEMPTS = "scorebench_attempts"  # in a sample's metadata: the places of its attempts among its messages


def is_log(value: Any) -> bool:
    """Whether a JSON value is a log of Inspect's."""
    return isinstance(value, Mapping) and isinstance(value.get("eval"), Mapping) and "samples" in value


def require_log(file: Path) -> None:
    """UserError where a zip file is no log of Inspect's, with what it holds."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError) as fault:
        raise UserError(f"{file} is a zip file that is damaged or was cut off ({fault}): get it anew.") from fault
    if not {"header.json", "_journal/start.json"} & set(names):
        found = ", ".join(names[:5]) or "nothing"
        raise UserError(f"{file} is a zip file and no log of Inspect's: it holds {found:.200}.")


def dialogues_of_log(file: Path) -> Iterator[Dialogue | UserError]:
    """The samples of a log, one dialogue for each epoch; a complaint for each that has no reply."""
    log = _read(file)
    if not log.samples:
        raise UserError(f"{file} is a log of Inspect's without samples (its status: {log.status}): give another log.")
    for sample in log.samples:
        where = f"{file.name}, sample {sample.id} of epoch {sample.epoch}"
        try:
            yield _dialogue(sample, where)
        except UserError as complaint:
            yield complaint


def _dialogue(sample: EvalSample, where: str) -> Dialogue:
    places = (sample.metadata or {}).get(ATTEMPTS)
    messages = [
        {"role": message.role, "content": message.text, "tool_calls": getattr(message, "tool_calls", None)}
        for message in sample.messages
    ]
    if sample.error and not any(message["role"] == "assistant" for message in messages):
        raise UserError(f"{where} has no reply, because it failed ({sample.error.message!r:.120}): run it again.")
    prompts, replies = chat_of(messages, where)
    if isinstance(places, list):
        if not all(isinstance(place, int) and 0 <= place < len(messages) for place in places):
            raise UserError(f"{where} has no message for each of its attempts ({places!r:.60}): mend or remove it.")
        prompts, replies = (), chat_of([messages[place] for place in places], where)[1]
    # Inspect counts samples that have no id from 1: a number is no name of a problem.
    names = (sample.id,) if isinstance(sample.id, str) else ()
    statements = (sample.input,) if isinstance(sample.input, str) else ()
    return Dialogue(where, replies, names, statements, prompts)


def _read(file: Path) -> EvalLog:
    try:
        from inspect_ai.log import read_eval_log
    except ImportError as missing:
        raise UserError(
            f"{file} is a log of Inspect's, and inspect_ai, which reads it, is not installed: "
            "pip install 'scorebench[inspect]'."
        ) from missing
    try:
        return read_eval_log(str(file), format="eval" if file.read_bytes().startswith(b"PK") else "json")
    except Exception as fault:  # the library's reader raises whatever zip files and pydantic raise
        reason = (str(fault).splitlines() or [type(fault).__name__])[0]
        raise UserError(f"{file} cannot be read as a log of Inspect's ({reason:.160}): give another file.") from fault
