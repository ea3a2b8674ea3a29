"""The two public DataFrames: attempts of stored runs, and the comparison."""

from __future__ import annotations

from pathlib import Path

from scorebench.report.frames import ATTEMPT_COLUMNS, attempts_frame, compare_frame
from scorebench.storage.runs import Run, open_run
from tests.made_episodes import episode
from tests.report.test_rows import made, meta


def stored(root: Path, method: str) -> Run:
    identity = {**meta(method), "split": "test"}
    run = open_run(root, identity)
    with run.writing() as writer:
        for problem, verdicts in (("a", "01"), ("b", "1e")):
            whole = episode(problem, verdicts, texts=[f"{problem} first", f"{problem} second"])
            transcript = [{"role": "assistant", "content": attempt.reply.text} for attempt in whole.attempts]
            writer.append(type(whole)(problem, 0, whole.attempts, tuple(transcript)), {})  # type: ignore[arg-type]
    return run


def test_one_row_an_attempt(tmp_path: Path) -> None:
    frame = attempts_frame([stored(tmp_path, "base"), stored(tmp_path, "score")])
    assert tuple(frame.columns) == ATTEMPT_COLUMNS
    assert frame["method"].tolist() == ["base"] * 4 + ["score"] * 4
    assert frame["turn"].tolist() == [1, 2] * 4
    assert frame["passed"].tolist() == [False, True, True, False] * 2
    assert frame["outcome"].tolist()[:4] == ["fail", "pass", "pass", "error"]
    assert frame["text"].tolist()[:2] == ["a first", "a second"]
    assert frame["tokens"].tolist() == [2] * 8
    assert frame[frame["turn"] == 2].groupby("method")["passed"].agg("mean").tolist() == [0.5, 0.5]


def test_no_runs_are_an_empty_frame_with_the_columns() -> None:
    assert tuple(attempts_frame([]).columns) == ATTEMPT_COLUMNS


def test_compare_frame_is_the_printed_comparison() -> None:
    frame = compare_frame([made("base"), made("score")], baseline="base")
    assert frame["method"].tolist() == ["base", "score"]
    assert frame.loc[1, "acc_t2_difference"] == 0.0
    assert frame.loc[0, "acc_t2_difference"] is None
