"""The formats of whole files and folders: what is in them is found by their content, never by their name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from scorebench.api.errors import UserError
from scorebench.api.types import Problem
from scorebench.storage.datasets import Row, read_bytes, scan
from scorebench.storage.transcripts.dialogue import Dialogue, reply_of
from scorebench.storage.transcripts.inspect_log import dialogues_of_log, is_log, require_log

Recorded = Row | Dialogue | UserError
TAKES = "`scorebench grade` takes JSON Lines and the other formats of docs/files.md"


def recorded_in(file: Path, problems: Sequence[Problem]) -> Iterable[Recorded]:
    """What a file or folder holds: rows, dialogues, and complaints about those that cannot be read.

    Raises UserError, with what was found, where the whole of it is in no format that can be graded.
    """
    if file.is_dir():
        return _folder(file)
    content = read_bytes(file)
    if content.startswith(b"PK\x03\x04"):
        require_log(file)
        return dialogues_of_log(file)
    value = _one_value(content)
    if is_log(value):
        return dialogues_of_log(file)
    if _is_generations(value):
        return _generations(value, file, problems)
    if isinstance(value, dict):
        return _object(value, file, single_line=content.strip().count(b"\n") == 0)
    _require_json(content, file)
    return scan(content, file.name, {})


def _one_value(content: bytes) -> Any:
    """The value that the whole content is as JSON; None where it is not one value, as for JSON Lines."""
    if not content[:64].lstrip().startswith((b"{", b"[")):
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError):  # JSON Lines, or a damaged file, whose lines are complained about one by one
        return None


def _require_json(content: bytes, file: Path) -> None:
    """UserError where no line of a file begins as JSON does."""
    if not content.strip() or content.startswith(b"PAR1"):
        return
    if not any(line.lstrip()[:1] in (b"{", b"[") for line in content.split(b"\n")):
        begin = content[:30].decode("utf-8", errors="replace")
        raise UserError(f"{file} is no JSON: it begins with {begin!r}; {TAKES}.")


def _object(value: dict[str, Any], file: Path, single_line: bool) -> Iterable[Recorded]:
    """One JSON object: evalplus's results, or a single row."""
    if isinstance(value.get("eval"), dict) and "hash" in value:
        rows = [row for found in value["eval"].values() if isinstance(found, list) for row in found]
        return scan(json.dumps(rows).encode(), file.name, {})
    if isinstance(value.get("results"), dict) and "configs" in value:
        raise UserError(f"{file} holds lm-eval's figures and no replies: give its samples_*.jsonl (--log_samples).")
    if single_line:
        return [Row(value, f"{file.name}, line 1")]
    found = ", ".join(map(repr, list(value)[:8]))
    raise UserError(f"{file} is a JSON object with the fields {found:.200}, and holds no transcripts; {TAKES}.")


# BigCode --------------------------------------------------------------------------------------------------------------


def _is_generations(value: Any) -> bool:
    return bool(value) and isinstance(value, list) and all(isinstance(programs, list) for programs in value)


def _generations(value: list[list[Any]], file: Path, problems: Sequence[Problem]) -> Iterator[Recorded]:
    """BigCode's generations.json: for each problem, in the benchmark's order, the list of its samples."""
    if len(value) > len(problems):
        raise UserError(
            f"{file} holds programs for {len(value):,} problems, in the form of BigCode's generations.json, and this "
            f"test split has {len(problems):,}: name the task and the data that they were made on."
        )
    for number, (programs, problem) in enumerate(zip(value, problems, strict=False), start=1):
        for sample, program in enumerate(programs, start=1):
            where = f"{file.name}, item {number}, program {sample}"
            try:
                yield Dialogue(where, (reply_of(program, where),), (problem.id,))
            except UserError as complaint:
                yield complaint


# Folders --------------------------------------------------------------------------------------------------------------


def _folder(folder: Path) -> Iterable[Recorded]:
    """A folder: of a run, or evalplus's, with a folder of programs for each problem."""
    episodes = folder / "episodes.jsonl"
    if episodes.is_file():
        return scan(read_bytes(episodes), f"{folder.name}/{episodes.name}", {})
    programs = sorted(folder.glob("*/*.py"), key=lambda file: (file.parent.name, _number(file)))
    if programs:
        return (_program(file) for file in programs)
    samples = sorted(path.relative_to(folder) for path in folder.glob("**/samples_*.jsonl"))
    if samples:
        raise UserError(f"{folder} is a folder of lm-eval's: name one of its files, such as {folder / samples[0]}.")
    found = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing"
    raise UserError(f"{folder} is neither a run's folder nor evalplus's folder of programs: it holds {found}.")


def _number(file: Path) -> tuple[int, str]:
    return (int(file.stem) if file.stem.isdecimal() else 0, file.stem)


def _program(file: Path) -> Recorded:
    """evalplus: HumanEval_0/0.py is sample 0 of HumanEval/0."""
    where = f"{file.parent.name}/{file.name}"
    try:
        text = read_bytes(file).decode("utf-8")
    except UnicodeDecodeError:
        return UserError(f"{where} is no UTF-8 text: mend or remove it.")
    except UserError as complaint:
        return complaint
    name = file.parent.name.replace("_", "/")
    try:
        return Dialogue(
            where, (reply_of(text, where),), (file.parent.name, name), values={"task_id": name, "solution": text}
        )
    except UserError as complaint:
        return complaint
