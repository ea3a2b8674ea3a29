"""A training shows what it does, and watching it changes nothing that it learns."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from scorebench.api.errors import UserError
from scorebench.evaluation.session import Session
from scorebench.evaluation.settings import Settings
from scorebench.methods.pair_sft import PairSFT
from scorebench.methods.score import score, single_turn
from scorebench.training import checkpoint
from scorebench.training.checkpoint import StageState
from scorebench.training.context import LocalTrainingContext
from scorebench.training.monitor import Monitor, Watch, no_signal, validation_problems
from scorebench.training.optimizer import adam
from scorebench.training.tuning import Tuning, tuning_from
from tests import tiny
from tests.toy import Toy
from tests.training.test_score import CONFIG, TINY, context, short
from tests.training.test_sft import PAIRS

WATCHING = {"evaluate_every": 2, "evaluate_problems": 6, "rollouts_every": 2}


def watched(folder: Path, report: Any = None, **tuning: Any) -> LocalTrainingContext:
    validation = Toy().load("validation", None).problems  # type: ignore[arg-type]
    chosen = Tuning(**{**WATCHING, **tuning})
    options = {"report": report} if report else {}
    watch = Watch(chosen, validation_problems(validation, chosen.evaluate_problems), **options)
    return dataclasses.replace(context(folder), watch=watch)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def assert_same_weights(one: Any, other: Any) -> None:
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_watching_changes_no_weight_and_logs_what_it_saw(tmp_path: Path) -> None:
    plain, seen = context(tmp_path / "plain"), watched(tmp_path / "watched")
    config = short(CONFIG, 5)
    score.train(plain, config)
    score.train(seen, config)
    assert_same_weights(plain.policy, seen.policy)
    for stage in ("stage1", "stage2"):
        rows = read(tmp_path / "watched" / stage / "evaluations.jsonl")
        assert [row["step"] for row in rows] == [0, 2, 4, 5]
        for row in rows:
            assert len(row["correct"]) == len(row["length"]) == len(row["entropy"]) == len(row["kl"]) == 2
            assert row["score"] == pytest.approx(sum(row["correct"]) / 2)
            assert row["replies"] == 12
            assert min(row["entropy"]) > 0
        dialogues = read(tmp_path / "watched" / stage / "rollouts.jsonl")
        assert [row["step"] for row in dialogues] == [2] * 16 + [4] * 16
        assert all(len(row["rewards"]) == len(row["verdicts"]) == 2 for row in dialogues)
        assert all(message["content"] == "again" for row in dialogues for message in row["transcript"][2:3])
    first = read(tmp_path / "watched" / "stage1" / "evaluations.jsonl")[0]
    assert max(map(abs, first["kl"])) < 1e-6  # before the first step the policy is the base
    assert max(read(tmp_path / "watched" / "stage2" / "evaluations.jsonl")[-1]["kl"]) > 0


def test_the_progress_of_a_training_says_what_is_right_the_drift_and_the_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every turn has its share of right answers and its KL, and they are those of the log."""
    shown: dict[str, list[tuple[int, str]]] = {}

    @contextmanager
    def record(title: str, total: int, done: int = 0) -> Iterator[Any]:
        yield lambda done, note="": shown.setdefault(title, []).append((done, note))

    monkeypatch.setattr("scorebench.methods.score.progress", record)
    score.train(context(tmp_path), short(CONFIG, 3))
    assert list(shown) == ["score, stage1", "score, stage2"]
    for stage in ("stage1", "stage2"):
        notes = shown[f"score, {stage}"]
        for (done, note), row in zip(notes, read(tmp_path / stage / "steps.jsonl"), strict=True):
            right = " -> ".join(f"{100 * share:.0f}" for share in row["correct"])
            drift = ", ".join(f"{kl:.2f}" for kl in row["kl"])
            assert len(row["kl"]) == 2
            assert note == f"right {right} %, KL by turn {drift}, copies {100 * row['unchanged']:.0f} %"
            assert done == row["step"]


def test_every_method_is_watched(tmp_path: Path) -> None:
    PairSFT("pair-sft", plus=False).train(watched(tmp_path), PAIRS)
    rows = read(tmp_path / "evaluations.jsonl")
    steps = len(read(tmp_path / "steps.jsonl"))
    assert [row["step"] for row in rows][-2:] == [steps - 1 - (steps - 1) % 2, steps] or rows[-1]["step"] == steps
    assert rows[0]["step"] == 0


@pytest.mark.parametrize("select_by", ["reward", "validation"])
@pytest.mark.parametrize("fatal", [2, 3, 7])
def test_killed_while_watched_it_ends_with_the_same_weights_and_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fatal: int, select_by: str
) -> None:
    monkeypatch.setattr(checkpoint, "_SHORTEST", 0.0)
    monkeypatch.setattr(checkpoint, "_REST", 2)
    config = short(CONFIG, 5)
    whole, cut, again = (watched(tmp_path / name, select_by=select_by) for name in ("whole", "cut", "cut"))
    score.train(whole, config)
    advance, count = StageState.advance, 0

    def dying(self: Any, *args: Any) -> None:
        nonlocal count
        advance(self, *args)
        count += 1
        if count == fatal:
            raise KeyboardInterrupt

    monkeypatch.setattr(StageState, "advance", dying)
    with pytest.raises(KeyboardInterrupt):
        score.train(cut, config)
    monkeypatch.setattr(StageState, "advance", advance)
    score.train(again, config)
    assert_same_weights(whole.policy, again.policy)
    for log in (
        "stage1/evaluations.jsonl",
        "stage2/evaluations.jsonl",
        "stage1/rollouts.jsonl",
        "stage2/rollouts.jsonl",
    ):
        assert read(tmp_path / "cut" / log) == read(tmp_path / "whole" / log), log


def test_the_weights_of_the_best_evaluation_are_kept(tmp_path: Path) -> None:
    policy = tiny.model()
    state = StageState(tmp_path, policy, adam(policy, 1e-3), kl_T=[], by_validation=True)
    weight = policy.model.norm.weight
    for score_, value in ((0.2, 1.0), (0.6, 2.0), (0.6, 3.0), (0.4, 4.0)):
        with torch.no_grad():
            weight.fill_(value)
        for _ in range(10):
            state.advance(value, [], {})  # the training reward rises, and selects nothing
        state.judge(score_, {})
    again = tiny.model()
    resumed = StageState(tmp_path, again, adam(again, 1e-3), kl_T=[], by_validation=True)
    state.save()
    resumed.resume()
    for one, its in ((state, weight), (resumed, again.model.norm.weight)):
        one.finish()
        assert its[0] == 2.0


def test_the_base_is_played_once_before_the_first_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    score.train(context(tmp_path), short(CONFIG, 2))
    said = capsys.readouterr().err
    assert said.count("The base at temperature 1: Acc@t1 ") == 1
    assert all(word in said for word in ("Acc@t2", "i->c", "c->i", "tokens", "truncated", "peak memory"))
    base = json.loads((tmp_path / "base.json").read_text())
    assert base["replies"] == 32
    assert len(base["correct"]) == 2
    (tmp_path / "stage2" / "state.pt").unlink()
    score.train(context(tmp_path), short(CONFIG, 2))
    assert "The base" not in capsys.readouterr().err
    single_turn.train(context(tmp_path / "single"), short(single_turn.build(TINY), 1))
    assert len(json.loads((tmp_path / "single" / "base.json").read_text())["correct"]) == 2


@pytest.mark.parametrize(
    ("correct", "i_to_c", "says"),
    [
        ([0.5, 0.5], 0.1, ""),
        ([0.0, 0.0], 0.0, "no attempt of the base is right"),
        ([1.0, 1.0], 0.0, "no attempt of the base is wrong"),
        ([0.5, 0.4], 0.0, "no second attempt of the base corrects"),
        ([1.0, 0.5], 0.0, ""),
    ],
)
def test_a_base_without_a_signal_is_told_what_to_do(correct: list[float], i_to_c: float, says: str) -> None:
    warning = no_signal({"correct": correct, "i_to_c": i_to_c, "replies": 8})
    assert says in warning
    assert bool(says) == bool(warning)
    assert warning.count(". ") == 0


def test_a_collapse_is_said_once_when_it_happens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taught = watched(tmp_path)
    state = StageState(tmp_path / "stage1", taught.policy, adam(taught.policy, 1e-3), kl_T=[])
    monitor = Monitor(taught, score, state, 10, 2, CONFIG)
    said = []
    for unchanged, entropy in ((0.5, 0.3), (0.94, 0.1), (0.95, 0.1), (0.99, 0.1), (0.5, 0.02), (0.96, 0.02)):
        row = {"unchanged": unchanged, "entropy": [0.3, entropy]}
        state.judge(0.0, row)
        monitor._warn(row)
        said.append(capsys.readouterr().err.splitlines())
    assert [len(lines) for lines in said] == [0, 0, 1, 0, 1, 1]
    assert "95 % of the second attempts repeat the first" in said[2][0]
    assert "attempt 2 from 0.300 to 0.020" in said[4][0]


def test_what_only_watches_is_no_part_of_what_a_training_is() -> None:
    assert tuning_from(["evaluate_every=5", "rollouts_every=1"])[0].identity() == {}
    chosen = tuning_from(["evaluate_every=5", "select_by=validation", "lora.rank=2"])[0].identity()
    assert chosen == {"evaluate_every": 5, "select_by": "validation", "lora": {"rank": 2}}
    with pytest.raises(UserError, match="evaluate_every"):
        tuning_from(["select_by=validation"])


def test_validation_problems_are_the_same_for_everybody_and_no_train_problems(tmp_path: Path) -> None:
    sets = ["problems=2", "samples=2", "max_tokens=8", "stage1.steps=1", "stage2.steps=1"]
    sets += ["evaluate_every=1", "evaluate_problems=5", "rollouts_every=1"]
    settings = Settings(method=["score"], task=["math"], limit=2, out=tmp_path, max_tokens=8, set=sets)
    Session(settings).run()
    (log,) = tmp_path.glob("checkpoints/*/stage1/evaluations.jsonl")
    assert [row["replies"] for row in read(log)] == [10, 10]
    record = json.loads((log.parents[1] / "training.json").read_text())
    assert "evaluate_every" not in record["identity"]["method"]["config"]
    assert record["spent"]["watching_replies"] == 40 + 8
    train = {row["problem"] for row in read(log.with_name("rollouts.jsonl"))}
    problems = Toy().load("validation", None).problems  # type: ignore[arg-type]
    assert validation_problems(problems, 7) == validation_problems(problems[::-1], 7)
    assert all("/train/" in name for name in train)
