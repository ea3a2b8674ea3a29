"""The replay engine says what was recorded, to the problem and sample that it was recorded for."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from scorebench.api.errors import UserError
from scorebench.api.protocols import ModelSpec
from scorebench.api.types import Episode, Problem, Reply, Sampling
from scorebench.dialogue.player import NO_REPLY, EpisodeRequest, Player
from scorebench.engines.replay import open_engine
from scorebench.methods.base import Base
from scorebench.methods.self_refine import SelfRefine
from scorebench.storage.runs import as_row
from tests.cli.test_run import rows, scorebench
from tests.dialogue.test_player import Parrot
from tests.toy import Toy

PROBLEMS = [Problem(f"p{i}", "say the same", "ascii") for i in range(30)]  # the prompts do not tell them apart


def play(engine: Any, method: Any = None, samples: int = 2, given: Reply | None = None) -> list[Episode]:
    player = Player(method or Base(), Toy(), engine, Sampling(), 2, 7, ThreadPoolExecutor(2))
    jobs = [EpisodeRequest(problem, sample, given) for problem in PROBLEMS for sample in range(samples)]

    async def all_of_them() -> list[Episode]:
        return [episode async for episode in player.episodes(jobs, 16)]

    return sorted(asyncio.run(all_of_them()), key=lambda e: (e.problem_id, e.sample))


def written(folder: Path, lines: list[Any]) -> ModelSpec:
    file = folder / "recorded.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return ModelSpec(str(file), "recorded")


def told(episode: Episode) -> tuple[Any, ...]:
    """What is stored of an episode but for its time."""
    return tuple(value for name, value in as_row(episode).items() if name != "seconds")


@pytest.mark.parametrize("method", [Base(), SelfRefine()])
def test_an_episode_is_repeated_as_it_was(tmp_path: Path, method: Any) -> None:
    played = play(Parrot(), method)
    replayed = play(open_engine(written(tmp_path, [as_row(e) for e in played[::-1]])), method)
    assert list(map(told, replayed)) == list(map(told, played))
    assert len({e.attempts[1].reply.text for e in replayed}) == 60


def test_rows_of_attempts_are_the_samples_in_order(tmp_path: Path) -> None:
    lines = [{"id": p.id, "attempts": [f"{p.id} {k} {t}" for t in "ab"]} for k in range(2) for p in PROBLEMS]
    for episode in play(open_engine(written(tmp_path, lines))):
        expected = [f"{episode.problem_id} {episode.sample} {t}" for t in "ab"]
        assert [a.reply.text for a in episode.attempts] == expected


def test_a_given_first_attempt_stands_first_in_the_record(tmp_path: Path) -> None:
    lines = [{"id": p.id, "attempts": ["wrong program", f"repair of {p.id}"]} for p in PROBLEMS]
    given = Reply("wrong program", finish_reason="given")
    for episode in play(open_engine(written(tmp_path, lines)), samples=1, given=given):
        assert episode.attempts[1].reply.text == f"repair of {episode.problem_id}"


def test_a_reply_that_is_missing_is_an_error_of_its_attempt_alone(tmp_path: Path) -> None:
    lines = [{"id": p.id, "attempts": ["one", "two"][: 1 + (p.id != "p3")]} for p in PROBLEMS if p.id != "p4"]
    outcomes = {
        e.problem_id: [a.verdict.outcome for a in e.attempts]
        for e in play(open_engine(written(tmp_path, lines)), samples=1)
    }
    assert outcomes.pop("p3") == ["pass", "error"]
    assert outcomes.pop("p4") == ["error", "error"]
    assert set(map(tuple, outcomes.values())) == {("pass", "pass")}


def test_what_an_engine_could_not_give_is_not_repeated_as_a_reply(tmp_path: Path) -> None:
    row = as_row(play(Parrot(), samples=1)[0])
    row["attempts"][1]["verdict"] |= {"outcome": "error", "rule": NO_REPLY[0]}
    episode = play(open_engine(written(tmp_path, [row])), samples=1)[0]
    assert [a.verdict.outcome for a in episode.attempts] == ["pass", "error"]
    assert "has no reply 2" in episode.attempts[1].verdict.detail


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"id": "p0"}',
        '{"id": 5, "attempts": []}',
        '{"id": "p0", "attempts": "one"}',
        '{"id": "p0", "attempts": [1]}',
        '{"id": "p0", "attempts": ["\\ud800"]}',
        '{"transcript": []}',
        '{"problem": "p0", "sample": 0, "transcript": [], "attempts": [{"message": 4}], "tags": {}, "seconds": 0}',
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "recorded.jsonl"
    file.write_text('{"id": "p0", "attempts": ["one"]}\n' + line + "\n")
    with pytest.raises(UserError, match=r"recorded\.jsonl, line 2"):
        open_engine(ModelSpec(str(file), "recorded"))


def test_a_run_of_the_embedded_model_is_replayed(tmp_path: Path) -> None:
    words = ("run", "--method", "base", "--task", "math", "--limit", "40")
    assert scorebench(*words, folder=tmp_path).returncode == 0
    (file,) = tmp_path.glob("results/runs/*/episodes.jsonl")
    again = ("--model", f"replay:{file}", "--data", "embedded", "--max-tokens", "256")
    done = scorebench(*words, *again, "--out", "again/results", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert rows(tmp_path / "again", "base") == rows(tmp_path, "base")
    more = scorebench(*words[:-1], "50", *again, "--out", "again/results", folder=tmp_path)
    assert more.returncode == 1
    assert "10 of 50 dialogues ended in an error" in more.stderr
