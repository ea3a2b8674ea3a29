"""Reading other people's replies: every form, every fault by its line, nothing lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scorebench.api.types import Attempt, Episode, Problem, Reply, Verdict
from scorebench.storage.runs import as_row
from scorebench.storage.transcripts import LONGEST_REPLY, Transcripts, read_transcripts

PROBLEMS = (
    Problem("MBPP/11", "a", None, tags={"level": 1}),
    Problem("MBPP/12", "b", None),
    Problem("MBPP/602", "c", None),
)
GIVEN = (Problem("MBPP/11/coder/0", "a", None, given="wrong"),)


def read(tmp_path: Path, *rows: Any, problems: tuple[Problem, ...] = PROBLEMS) -> Transcripts:
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    file = tmp_path / "samples.jsonl"
    file.write_bytes(b"\n".join(lines))
    return read_transcripts(file, problems)


def texts(found: Transcripts) -> list[tuple[str, int, list[str]]]:
    return [
        (row.episode.problem_id, row.episode.sample, [attempt.reply.text for attempt in row.episode.attempts])
        for row in found.read
    ]


@pytest.mark.parametrize(
    "row",
    [
        {"id": "MBPP/11", "attempts": ["x"]},
        {"task_id": "MBPP/11", "attempts": ["x"]},
        {"task_id": "MBPP/11", "completion": "x"},
        {"task_id": "Mbpp/11", "solution": "x", "_identifier": "mbpp/11"},
        {"task_id": 11, "completion": "x"},
        {"task_id": "11", "completion": "x"},
    ],
)
def test_every_form_and_every_name_of_a_problem_is_read(tmp_path: Path, row: dict[str, Any]) -> None:
    found = read(tmp_path, row)
    assert texts(found) == [("MBPP/11", 0, ["x"])]
    assert found.read[0].episode.tags == {"level": 1}
    assert found.read[0].values == row
    assert not found.complaints


def test_samples_are_counted_by_problem_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = read(
        tmp_path, *({"task_id": number, "completion": text} for number, text in [(11, "a"), (12, "b"), (11, "c")])
    )
    assert texts(found) == [("MBPP/11", 0, ["a"]), ("MBPP/12", 0, ["b"]), ("MBPP/11", 1, ["c"])]


def test_a_repair_follows_the_given_attempt(tmp_path: Path) -> None:
    name = GIVEN[0].id
    rows = [{"id": name, "attempts": ["wrong", "right"]}, {"task_id": name, "solution": "right"}]
    found = read(tmp_path, *rows, problems=GIVEN)
    assert texts(found) == [(name, 0, ["wrong", "right"]), (name, 1, ["wrong", "right"])]
    assert found.read[1].episode.attempts[0].reply.finish_reason == "given"


def own_row(problem: str, sample: int, *replies: str) -> dict[str, Any]:
    attempts = tuple(Attempt(Reply(text, tokens=3), Verdict("pass")) for text in replies)
    messages = tuple({"role": "assistant", "content": text} for text in replies)
    return as_row(Episode(problem, sample, attempts, messages)) | {"elapsed": 1.0}  # type: ignore[arg-type]


def test_of_a_run_s_episode_that_was_played_again_the_last_counts(tmp_path: Path) -> None:
    rows = [own_row("MBPP/11", 0, "a", "b"), own_row("MBPP/11", 1, "c", "d"), own_row("MBPP/11", 0, "e", "f")]
    found = read(tmp_path, *rows)
    assert sorted(texts(found), key=lambda row: row[2]) == [("MBPP/11", 0, ["c", "d"]), ("MBPP/11", 1, ["e", "f"])]


GOOD = {"task_id": 11, "completion": "x"}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"task_id": "MBPP/5000", "completion": "x"}, "'MBPP/5000', which is no problem"),
        ({"task_id": True, "completion": "x"}, "True, which is no problem"),
        ({"completion": "x"}, "has no field 'id' or 'task_id'"),
        ({"task_id": 12}, "is in no format that can be graded (its fields: 'task_id')"),
        ({"task_id": 12, "completion": None}, "None where a reply should be"),
        ({"id": 12, "attempts": []}, "no list of replies"),
        ({"id": 12, "attempts": "x"}, "no list of replies"),
        ({"id": 12, "attempts": ["x", 3]}, "3 where a reply should be"),
        ({"id": 12, "attempts": ["x", "y"]}, "has 2 attempts where most rows have 1"),
        ({"task_id": 12, "completion": "x" * 10_000_000}, "10,000,000 characters"),
        ({"task_id": 12, "completion": "x" * (LONGEST_REPLY + 1)}, "1,000,001 characters"),
        ({"task_id": 12, "completion": "\ud800"}, "where a reply should be"),
        ({"problem": "MBPP/12", "transcript": []}, "no whole episode"),
        ({"problem": "MBPP/12", "transcript": [], "attempts": [{"message": 4}]}, "no whole episode"),
        (own_row("MBPP/12", 0) | {"sample": [1]}, "no whole episode"),
        (["x"], "is no JSON object"),
        (b'{"task_id": 12, "comple', "is cut off or no JSON"),
        (b'{"task_id": 12, "completion": "\xff"}', "is no UTF-8 text"),
        (b"[" * 100_000, "is cut off or no JSON"),
        (b'{"task_id": 1' + b"0" * 5000 + b', "completion": "x"}', "is cut off or no JSON"),
    ],
)
def test_a_bad_row_is_named_with_its_line_and_the_others_are_read(
    tmp_path: Path, bad: dict[str, Any] | bytes, says: str
) -> None:
    found = read(tmp_path, GOOD, GOOD, bad, GOOD)
    (complaint,) = found.complaints
    assert str(complaint).startswith("samples.jsonl, line 3 ")
    assert says in str(complaint)
    assert len(str(complaint)) < 400
    assert [sample for _, sample, _ in texts(found)] == [0, 1, 2]
