"""Episodes as plain data for the reader of the page: an index of all of them, and their texts in blocks.

The index holds what the filters need and is read when the page opens. A block holds the texts of some problems, by all
methods of a group, and is unpacked when one of its episodes is looked at. Blocks go by problem, so that the prompts
that the methods share stand close together, where compression finds them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scorebench.report.baseline import Group, group_of
from scorebench.report.page.references import References
from scorebench.report.page.stored import StoredRun

BLOCK = 1_000_000  # characters of text in a block, about
LONGEST_DETAIL = 300
FLIPS = {
    (False, True): "ic",
    (True, False): "ci",
    (True, True): "cc",
    (False, False): "ii",
    (True,): "c",
    (False,): "i",
}
FLAGS = {"cut": 1, "none": 2, "echo": 4, "loose": 8}  # of an episode: any of its attempts
KINDS_OF_FLIP = ("ic", "ci", "cc", "ii", "c", "i", "error")


@dataclass
class Reader:
    """What the reader of episodes is given. index: by group; blocks: in order, the texts that the index points to."""

    index: list[dict[str, Any]] = field(default_factory=list)
    blocks: list[dict[str, Any]] = field(default_factory=list)


def reader_of(runs: Sequence[StoredRun], references: References, longest: int, transcripts: int | None) -> Reader:
    """The episodes of all runs. longest: characters of a message that are kept; transcripts: see `_chosen`."""
    reader = Reader()
    groups: dict[Group, list[StoredRun]] = {}
    for stored in runs:
        groups.setdefault(group_of(stored.summary), []).append(stored)
    for members in groups.values():
        chosen = {stored.run.name: _chosen(stored, transcripts) for stored in members}
        reader.index.append(_group(members, chosen, references, longest, reader.blocks))
    return reader


def _group(
    members: Sequence[StoredRun],
    chosen: Mapping[str, Mapping[Any, Mapping[str, Any]]],
    references: References,
    longest: int,
    blocks: list[dict[str, Any]],
) -> dict[str, Any]:
    """The index of a group; appends the group's blocks."""
    tags = {row["problem"]: dict(row["tags"]) for rows in chosen.values() for row in rows.values()}
    problems = sorted(tags, key=_natural)
    by_problem: dict[str, list[tuple[int, Mapping[str, Any]]]] = {problem: [] for problem in problems}
    for number, stored in enumerate(members):
        for _, row in sorted(chosen[stored.run.name].items()):
            by_problem[row["problem"]].append((number, row))
    columns: dict[str, list[Any]] = {name: [] for name in ("run", "problem", "sample", "flip", "flags", "block", "at")}
    block: dict[str, Any] = {"episodes": [], "references": {}}
    size = 0
    for place, problem in enumerate(problems):
        if size > BLOCK:
            blocks.append(block)
            block, size = {"episodes": [], "references": {}}, 0
        block["references"][place] = references.of(members[0].run, problem)
        for number, row in by_problem[problem]:
            texts = episode_of(row, longest)
            values = (number, place, row["sample"], flip_of(row), flags_of(row), len(blocks), len(block["episodes"]))
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
            block["episodes"].append(texts)
            size += sum(len(text) for _, text in texts["messages"])
    blocks.append(block)
    return {
        "runs": [{"name": stored.run.name, "seed": stored.run.identity["seed"]} for stored in members],
        "instruction": _instruction(chosen),
        "problems": problems,
        "tags": [tags[problem] for problem in problems],
        "columns": columns,
    }


def _chosen(stored: StoredRun, transcripts: int | None) -> Mapping[Any, Mapping[str, Any]]:
    """The rows of a run that the page shows: all, or the first `transcripts` of each kind of flip."""
    if transcripts is None:
        return stored.rows
    kept: dict[str, int] = dict.fromkeys(KINDS_OF_FLIP, 0)
    chosen = {}
    for key, row in sorted(stored.rows.items()):
        kind = flip_of(row)
        if kept[kind] < transcripts:
            kept[kind] += 1
            chosen[key] = row
    return chosen


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts names as people count: 2 before 10."""
    parts = re.split(r"(\d+)", name)
    return [(len(part.lstrip("0")), part.lstrip("0")) if place % 2 else (0, part) for place, part in enumerate(parts)]


def _instruction(chosen: Mapping[str, Mapping[Any, Mapping[str, Any]]]) -> str:
    """The paragraphs that all prompts of a group begin with; "" where there are none, or where there is one prompt."""
    prompts = {
        message["content"]
        for rows in chosen.values()
        for row in rows.values()
        for message in row["transcript"][: row["attempts"][0]["message"]]
        if message["role"] == "user"
    }
    if len(prompts) < 2:
        return ""
    first, last = min(prompts), max(prompts)  # what these two share, all that lie between them share
    length = next((i for i, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    shared = first[:length]
    return shared[: shared.rfind("\n\n") + 2] if "\n\n" in shared else ""


def flip_of(row: Mapping[str, Any]) -> str:
    """What became of the answer from attempt 1 to attempt 2, as one of KINDS_OF_FLIP; c is correct, i incorrect."""
    outcomes = [attempt["verdict"]["outcome"] for attempt in row["attempts"]]
    return "error" if "error" in outcomes else FLIPS[tuple(outcome == "pass" for outcome in outcomes[:2])]


def flags_of(row: Mapping[str, Any]) -> int:
    """The sum of the FLAGS that hold for any attempt of the episode."""
    attempts = row["attempts"]
    verdicts = [attempt["verdict"] for attempt in attempts]
    holds = {
        "cut": any(attempt["finish_reason"] == "length" for attempt in attempts),
        "none": any(reading_of(verdict) == "none" for verdict in verdicts),
        "loose": any(reading_of(verdict) == "loose" for verdict in verdicts),
        "echo": any(verdict.get("echo") for verdict in verdicts),
    }
    return sum(FLAGS[name] for name, true in holds.items() if true)


def reading_of(verdict: Mapping[str, Any]) -> str:
    """How the answer was stated: "stated", "loose", "none", or "" where the verdict does not say."""
    reading = verdict.get("reading", "")
    return reading or ("none" if verdict["answer"] is None and verdict["outcome"] != "error" else "")


def episode_of(row: Mapping[str, Any], longest: int) -> dict[str, Any]:
    """The texts of an episode: messages as [role, text], and for each attempt its message and its verdict."""
    return {
        "messages": [[message["role"], shortened(message["content"], longest)] for message in row["transcript"]],
        "attempts": list(_attempts(row, longest)),
    }


def _attempts(row: Mapping[str, Any], longest: int) -> Iterable[dict[str, Any]]:
    for attempt in row["attempts"]:
        verdict = attempt["verdict"]
        yield {
            "message": attempt["message"],
            "outcome": verdict["outcome"],
            "answer": None if verdict["answer"] is None else shortened(verdict["answer"], longest),
            "rule": verdict["rule"],
            "detail": verdict["detail"][:LONGEST_DETAIL],
            "reading": reading_of(verdict),
            "echo": bool(verdict.get("echo")),
            "tokens": attempt["tokens"],
            "finish": attempt["finish_reason"],
        }


def shortened(text: str, longest: int) -> str:
    """The text itself or, where it is too long, its beginning and its end, where answers stand."""
    if len(text) <= longest:
        return text
    head = 2 * longest // 3
    tail = longest - head
    left_out = len(text) - longest
    return f"{text[:head]}\n[... {left_out:,} characters are left out here ...]\n{text[len(text) - tail :]}"
