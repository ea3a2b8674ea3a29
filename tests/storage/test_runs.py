"""Runs on disk: the same identity finds the same rows, another never does, and a cut line costs one episode."""

from __future__ import annotations

import asyncio
import json
import resource
from pathlib import Path
from typing import Any

import pytest

from scorebench.api.errors import UserError
from scorebench.api.types import Attempt, Episode, Problem, Reply, Sampling, Verdict
from scorebench.evaluation.runner import evaluate
from scorebench.methods.base import Base
from scorebench.methods.self_refine import SelfRefine
from scorebench.storage.files import write_text
from scorebench.storage.rows import as_episode, as_row
from scorebench.storage.runs import Run, all_runs, open_pool, open_run, stored_run
from tests.dialogue.test_player import Parrot
from tests.toy import Toy

IDENTITY: dict[str, Any] = {
    "split": "test",
    "task": {"name": "toy", "version": "1"},
    "data": "folder:1234",
    "method": {"name": "self-refine", "config": {}},
    "model": {"name": "org/some model", "digest": "00"},
    "turns": 2,
    "samples": 2,
    "seed": 0,
}
PROBLEMS = Toy().load("test", None).problems[:6]  # type: ignore[arg-type]


def play(run: Run, task: Any = None) -> tuple[Parrot, list[Episode]]:
    engine = Parrot()
    work = evaluate(run, SelfRefine(), task or Toy(), PROBLEMS, engine, Sampling(), turns=2, samples=2, seed=0)
    return engine, asyncio.run(work)


def contents(episodes: list[Episode]) -> list[Any]:
    return [(e.problem_id, e.sample, e.transcript, [a.verdict for a in e.attempts]) for e in episodes]


def test_a_row_holds_the_whole_episode(tmp_path: Path) -> None:
    _, episodes = play(open_run(tmp_path, IDENTITY))
    for episode in episodes:
        row = json.loads(json.dumps(as_row(episode)))
        assert as_row(as_episode(row)) == row
        assert contents([as_episode(row)]) == contents([episode])


def test_a_run_cut_in_the_middle_of_a_line_ends_with_the_same_rows(tmp_path: Path) -> None:
    whole = open_run(tmp_path / "whole", IDENTITY)
    _, expected = play(whole)
    lines = (whole.folder / "episodes.jsonl").read_bytes()
    cut = open_run(tmp_path / "cut", IDENTITY)
    (cut.folder / "episodes.jsonl").write_bytes(lines[: len(lines) * 2 // 3])
    engine, episodes = play(open_run(tmp_path / "cut", IDENTITY))
    assert contents(episodes) == contents(expected)
    assert 0 < len(engine.seen) < 12 * 3
    again, episodes = play(open_run(tmp_path / "cut", IDENTITY))
    assert again.seen == []
    assert contents(episodes) == contents(expected)
    assert len(cut.rows()) == 12


def test_another_configuration_is_another_folder(tmp_path: Path) -> None:
    first = open_run(tmp_path, IDENTITY)
    others = [open_run(tmp_path, {**IDENTITY, **change}) for change in ({"turns": 3}, {"seed": 1}, {"data": "hub"})]
    assert len({run.folder for run in [first, *others]}) == 4
    assert open_run(tmp_path, IDENTITY).folder == first.folder
    assert len(all_runs(tmp_path)) == 4


def test_a_folder_that_describes_another_run_is_refused(tmp_path: Path) -> None:
    run = open_run(tmp_path, IDENTITY)
    text = (run.folder / "run.json").read_text().replace("folder:1234", "folder:9999")
    (run.folder / "run.json").write_text(text)
    with pytest.raises(UserError, match="another run"):
        open_run(tmp_path, IDENTITY)


def test_errors_are_played_again_and_the_last_word_counts(tmp_path: Path) -> None:
    class Flaky(Toy):
        def grade(self, problem: Problem, reply: str) -> Verdict:
            return Verdict("error", rule="no-worker") if problem.id.endswith("3") else super().grade(problem, reply)

    run = open_run(tmp_path, IDENTITY)
    _, episodes = play(run, Flaky())
    assert sum(e.attempts[0].verdict.outcome == "error" for e in episodes) == 2
    engine, episodes = play(run)
    assert len(engine.seen) == 2 * 3
    assert not any(e.attempts[0].verdict.outcome == "error" for e in episodes)
    assert all(a.verdict.outcome != "error" for e in run.rows().values() for a in e.attempts)


def test_two_processes_do_not_write_one_run(tmp_path: Path) -> None:
    run = open_run(tmp_path, IDENTITY)
    with run.writing(), pytest.raises(UserError, match="Another process"), run.writing():
        pass


def test_a_disk_that_takes_no_more_is_one_sentence_and_the_run_goes_on_later(tmp_path: Path) -> None:
    """The kernel's limit on a file's size stands for a full disk: the last line is cut in the middle."""
    _, expected = play(open_run(tmp_path / "whole", IDENTITY))
    run = open_run(tmp_path, IDENTITY)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2500, limits[1]))
    try:
        with pytest.raises(UserError, match=r"Cannot write .*episodes.jsonl: File too large; make room"):
            play(run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (run.folder / "episodes.jsonl").stat().st_size == 2500
    engine, episodes = play(run)
    assert 0 < len(engine.seen) < 12 * 3
    assert contents(episodes) == contents(expected)


ROW = as_row(
    Episode("test/0", 0, (Attempt(Reply("a"), Verdict("pass")),) * 2, ({"role": "assistant", "content": "a"},))
)


def changed(**values: Any) -> bytes:
    return json.dumps({**ROW, **values}).encode()


@pytest.mark.parametrize(
    "bad",
    [
        b"{broken",
        b'{"problem": "test/0", "text": "\xff"}',
        changed()[:-20] + "é".encode()[:1],
        b"[1, 2]",
        b"null",
        b"{}",
        b"[" * 100_000,
        b'{"n": 1' + b"0" * 5000 + b"}",
        changed(problem="elsewhere/0"),
        changed(problem=7),
        changed(sample=2),
        changed(sample=-1),
        changed(attempts=[]),
        changed(attempts=ROW["attempts"][:1]),
        changed(attempts=[{**ROW["attempts"][0], "message": 5}] * 2),
        changed(attempts=[{**ROW["attempts"][0], "verdict": {"outcome": "maybe"}}] * 2),
        changed(transcript=["a"]),
        changed(seconds="long"),
    ],
)
def test_a_line_that_is_no_row_of_the_run_costs_one_episode_and_is_kept_aside(
    tmp_path: Path, bad: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    run = open_run(tmp_path, IDENTITY, [problem.id for problem in PROBLEMS])
    _, expected = play(run)
    path = run.folder / "episodes.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = lines[0] + bad + b"\n" + b"".join(lines[2:])
    path.write_bytes(damaged)
    assert len(run.rows()) == 11
    assert run.spent()[0] > 0
    (warning,) = caplog.messages
    assert str(path) in warning
    assert "\n" not in warning
    engine, episodes = play(run)
    assert len(engine.seen) == 3
    assert contents(episodes) == contents(expected)
    assert path.with_name("episodes.jsonl.damaged").read_bytes() == damaged
    caplog.clear()
    assert len(run.rows()) == 12
    assert not caplog.messages


def test_text_that_cannot_be_written_ends_no_run_and_reads_back(tmp_path: Path) -> None:
    class Odd(Parrot):
        async def reply(self, prompt_ids: Any, messages: Any, sampling: Sampling, seed: int) -> Reply:
            return Reply("half a pair \udc80 and \ud83d\ude00")

    class Judge(Toy):
        def grade(self, problem: Problem, reply: str) -> Verdict:
            return Verdict("fail", answer="\ud800", detail="\udfff" + "x" * 16_000_000)

    run = open_run(tmp_path, IDENTITY)
    work = evaluate(run, SelfRefine(), Judge(), PROBLEMS, Odd(), Sampling(), turns=2, samples=2, seed=0)
    episodes = asyncio.run(work)
    stored = run.rows()
    assert contents([stored[e.problem_id, e.sample] for e in episodes]) == contents(episodes)
    assert {e.attempts[0].reply.text for e in episodes} == {"half a pair \ufffd and \U0001f600"}
    verdict = episodes[0].attempts[0].verdict
    assert (verdict.answer, verdict.detail[:3], len(verdict.detail)) == ("\ufffd", "\ufffdxx", 2000)
    run.replace_rows({**row.values, "note": "\ud800"} for row in run.stored().read)
    assert len(run.rows()) == 12


def test_a_row_of_16_mb_is_a_row(tmp_path: Path) -> None:
    class Long(Parrot):
        async def reply(self, prompt_ids: Any, messages: Any, sampling: Sampling, seed: int) -> Reply:
            return Reply("é" * 8_000_000)

    run = open_run(tmp_path, IDENTITY)
    asyncio.run(evaluate(run, Base(), Toy(), PROBLEMS[:1], Long(), Sampling(), turns=2, samples=1, seed=0))
    (episode,) = run.rows().values()
    assert [len(a.reply.text) for a in episode.attempts] == [8_000_000] * 2


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"{}",
        b'{"identity": {"task": "math"}}',
        b'{"identity": {"task": {"name": "math"}, "data": "hub", "split": "test", "method": {}}}',
        b"[" * 100_000,
    ],
)
def test_a_run_that_cannot_be_read_is_named_and_the_others_are_shown(
    tmp_path: Path, record: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    good = open_run(tmp_path, IDENTITY)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "run.json").write_bytes(record)
    assert [run.folder for run in all_runs(tmp_path)] == [good.folder]
    (warning,) = caplog.messages
    assert "foreign" in warning
    assert "\n" not in warning
    with pytest.raises(UserError, match="foreign"):
        stored_run(tmp_path / "foreign")


def test_starting_anew_sets_the_rows_aside(tmp_path: Path) -> None:
    run = open_run(tmp_path, IDENTITY)
    play(run)
    rows = (run.folder / "episodes.jsonl").read_bytes()
    run.start_anew()
    assert (run.folder / "episodes.jsonl.old").read_bytes() == rows
    engine, _ = play(run)
    assert len(engine.seen) == 12 * 3


def test_a_pool_is_the_smallest_stored_run_that_has_the_samples(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    large, larger = (open_run(root, {**IDENTITY, "samples": samples}) for samples in (8, 16))
    other = open_run(root, {**IDENTITY, "samples": 4, "seed": 9})
    assert open_pool(root, {**IDENTITY, "samples": 4}).folder == large.folder
    assert open_pool(root, {**IDENTITY, "samples": 9}).folder == larger.folder
    made = open_pool(root, {**IDENTITY, "samples": 17})
    assert made.folder.parent == tmp_path / "pools"
    assert open_pool(root, {**IDENTITY, "samples": 17}).folder == made.folder
    assert other.folder != open_pool(root, {**IDENTITY, "samples": 2}).folder


@pytest.mark.parametrize("dangling", [True, False])
def test_what_stands_where_a_folder_should_be_is_named(tmp_path: Path, dangling: bool) -> None:
    place = tmp_path / "results"
    place.symlink_to(tmp_path / "gone") if dangling else place.write_text("a file")
    with pytest.raises(UserError, match=rf"Cannot write {place}/page.md: {place}\S* is no folder; remove it"):
        write_text(place / "page.md", "a page")
