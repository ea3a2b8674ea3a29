"""Collections and examples are on disk: read one by one, by any number of processes, after any kill."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from scorebench.api import distributed
from scorebench.api.types import Message, Problem, Reply, Sampling
from scorebench.dialogue.player import Player
from scorebench.methods.base import Base
from scorebench.methods.pair_sft import pairs
from scorebench.methods.star import _examples, own_corrections
from scorebench.training import trajectories
from scorebench.training.sft import SFTConfig, _step
from scorebench.training.trajectories import (
    Example,
    Sample,
    Trajectories,
    Trajectory,
    collect_trajectories,
    own_file,
    write_examples,
)
from tests import tiny
from tests.toy import Toy

CONFIG = SFTConfig(dialogues=8, steps=1, batch=8, learning_rate=1.0)
PROBLEMS = [Problem(f"p{i}", f"say {i}", "ascii") for i in range(7)]


class Quick:
    """An engine without a model, whose replies depend on their seeds."""

    name, chat, at_once = "quick", None, 8

    async def reply(self, prompt_ids: Any, messages: tuple[Message, ...], sampling: Sampling, seed: int) -> Reply:
        text = "ab\u00e9\u00ff"[seed % 4] + "x" * 200
        return Reply(text, token_ids=(seed % 4, 5), logprobs=(-1.0, -1.0), prompt_ids=(1, 2), tokens=2)


def collected(path: Path, dialogues: int) -> Trajectories:
    player = Player(Base(), Toy(), Quick(), Sampling(temperature=1.0), 2, 0, ThreadPoolExecutor(1))
    return asyncio.run(collect_trajectories(path, player, PROBLEMS, dialogues))


def test_a_collection_is_in_order_and_goes_on_after_a_cut(tmp_path: Path) -> None:
    whole = collected(tmp_path / "whole" / "dialogues.jsonl", 50)
    assert [t.problem for t in whole] == [f"p{i % 7}" for i in range(50)]
    assert [t.attempts[0].sample for t in whole] == [i // 7 for i in range(50)]
    lines = (tmp_path / "whole" / "dialogues.jsonl").read_bytes()
    cut = tmp_path / "cut" / "dialogues.jsonl"
    cut.parent.mkdir()
    cut.write_bytes(lines[: len(lines) // 3])
    assert list(collected(cut, 50)) == list(whole)
    assert len(cut.read_bytes().splitlines()) == 50


def test_what_several_processes_wrote_is_taken_up_by_any_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = list(collected(tmp_path / "whole" / "dialogues.jsonl", 50))
    path = tmp_path / "shared" / "dialogues.jsonl"
    path.parent.mkdir()
    lines = (tmp_path / "whole" / "dialogues.jsonl").read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:10]))
    own_file(path, 1).write_text("".join(lines[15:30]) + lines[30][:20])  # killed within a line
    own_file(path, 2).write_text("".join(lines[40:44]))
    assert list(collected(path, 50)) == whole
    assert own_file(path, 1).read_text().splitlines(keepends=True) == lines[15:30]
    empty = Trajectories(tmp_path / "none" / "dialogues.jsonl", PROBLEMS, 50)
    monkeypatch.setattr(distributed, "count", lambda: 3)
    shares: list[tuple[str, int]] = []
    for process in range(3):
        monkeypatch.setattr(distributed, "own", lambda process=process: process)
        shares += [(job.problem.id, job.sample) for job in empty.missing()]
    assert sorted(shares) == sorted((t.problem, t.attempts[0].sample) for t in whole)


def test_neither_dialogues_nor_examples_are_held_in_memory(tmp_path: Path) -> None:
    """Of twenty times as many dialogues hardly more is held: places in files, and not the texts."""
    held = []
    for count in (100, 2000):
        folder = tmp_path / str(count)
        tracemalloc.start()
        trajectories = collected(folder / "dialogues.jsonl", count)
        numbers, _ = own_corrections(trajectories, CONFIG)
        examples = write_examples(folder / "examples.jsonl", _examples(trajectories, numbers))
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert len(examples) == len(numbers["wrong-right"]) > count / 8
        assert examples[len(examples) - 1].kind == "wrong-right"
    on_disk = (tmp_path / "2000" / "dialogues.jsonl").stat().st_size
    assert held[1] - held[0] < on_disk / 4


def sample(turn: int, passed: bool, ids: tuple[int, ...]) -> Sample:
    return Sample(0, turn, "", (1, 2, 3, turn), ids, passed)


# Two-turn dialogues by (first right, second right); every reply has ids of its own.
DIALOGUES = [(False, True)] * 3 + [(True, True)] * 8 + [(True, False)] + [(False, False)] * 2
TRAJECTORIES = [
    Trajectory(f"p{i}", (sample(1, first, (4 + i,)), sample(2, second, tuple(range(20 + i, 22 + i + i % 3)))))
    for i, (first, second) in enumerate(DIALOGUES)
]


@pytest.mark.parametrize(
    ("plus", "ratio", "right_right"),
    [(False, None, 0), (True, None, 8), (True, 0.0, 0), (True, 1.0, 3), (True, 0.5, 2), (True, 2.0, 6), (True, 9.0, 8)],
)
def test_the_gradient_on_d_plus_is_that_of_the_examples_that_its_ratio_keeps(
    plus: bool, ratio: float | None, right_right: int
) -> None:
    config = CONFIG.model_copy(update={"plus": plus, "plus_ratio": ratio})
    numbers, found = own_corrections(TRAJECTORIES, config)
    assert found == {"wrong-right": 3, "right-right": 8}
    examples = list(_examples(TRAJECTORIES, numbers))
    assert Counter(e.kind for e in examples) == Counter({"wrong-right": 3, "right-right": right_right})
    policy = tiny.model()
    _step(policy, torch.optim.SGD(policy.parameters(), lr=0.0), examples, config)
    got = torch.cat([p.grad.flatten() for p in policy.parameters()])
    policy.zero_grad()
    kept = [t for t, kind in zip(TRAJECTORIES, DIALOGUES, strict=True) if kind == (False, True)]
    kept += [t for t, kind in zip(TRAJECTORIES, DIALOGUES, strict=True) if kind == (True, True)][:right_right]
    total = torch.zeros(())
    for trajectory in kept:
        second = trajectory.attempts[1]
        ids = torch.tensor([[*second.prompt_ids, *second.token_ids]])
        logp = policy(ids).logits[0].log_softmax(-1)
        for at, token in enumerate(second.token_ids):
            total = total - logp[len(second.prompt_ids) - 1 + at, token]
    (total / sum(len(t.attempts[1].token_ids) for t in kept)).backward()
    wanted = torch.cat([p.grad.flatten() for p in policy.parameters()])
    torch.testing.assert_close(got, wanted, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("ratio", [None, 0.0, 0.5, 1.0, 100.0])
def test_pairs_have_the_ratio_that_is_asked_for(tmp_path: Path, ratio: float | None) -> None:
    trajectories = collected(tmp_path / "dialogues.jsonl", 70)
    config = CONFIG.model_copy(update={"plus": True, "plus_ratio": ratio})
    made, found = pairs(trajectories, config, seed=0)
    used = {kind: len(some) // 2 for kind, some in made.items()}
    wanted = found["right-right"] if ratio is None else min(found["right-right"], round(ratio * found["wrong-right"]))
    assert used == {"wrong-right": found["wrong-right"], "right-right": wanted}
    everything = [(t.problem, attempt) for t in trajectories for attempt in t.attempts]
    for kind, some in made.items():
        for a, b in zip(some[::2], some[1::2], strict=True):
            (problem, first), (other, second) = everything[a], everything[b]
            assert (problem, first.passed, second.passed) == (other, kind == "right-right", True)
            assert a != b
    assert pairs(trajectories, CONFIG, seed=0)[0]["right-right"].tolist() == []


def test_an_epoch_is_every_example_once() -> None:
    epochs = SFTConfig(dialogues=8, epochs=2, batch=8, learning_rate=1.0)
    for count in (1, 8, 9, 100):
        assert epochs.steps_of(1, count) == math.ceil(2 * count / 8)
    with pytest.raises(ValueError, match="one of steps and epochs"):
        SFTConfig(dialogues=8, batch=8, learning_rate=1.0)
    with pytest.raises(ValueError, match="one of steps and epochs"):
        SFTConfig(dialogues=8, batch=8, learning_rate=1.0, steps=3, epochs=1)


def test_texts_of_any_kind_come_back(tmp_path: Path) -> None:
    odd = [Example("p", "gold", sample(1, False, (1,)), None, (1,), (2,))]
    odd += [Example("\ud800", "gold", None, None, (), (2,))]
    assert list(write_examples(tmp_path / "examples.jsonl", odd)) == odd
    assert all(json.loads(line) for line in (tmp_path / "examples.jsonl").read_text().splitlines())


def test_all_processes_have_looked_before_any_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their shares are made of what is missing. Were one to look after another had written, the lists would differ."""
    events: list[str] = []
    look, append = trajectories.Trajectories.__init__, trajectories._appending

    def looking(self: Any, *args: Any) -> None:
        events.append("look")
        look(self, *args)

    def appending(path: Path) -> Any:
        events.append("write")
        return append(path)

    monkeypatch.setattr(trajectories.Trajectories, "__init__", looking)
    monkeypatch.setattr(trajectories, "_appending", appending)
    monkeypatch.setattr(trajectories.distributed, "together", lambda: events.append("wait"))

    class Nobody:
        engine = SimpleNamespace(at_once=1)

        async def episodes(self, jobs: Any, at_once: int) -> AsyncIterator[Any]:
            for _ in ():
                yield

    player: Any = Nobody()
    asyncio.run(trajectories.collect_trajectories(tmp_path / "dialogues.jsonl", player, [], 0))
    assert events == ["wait", "look", "wait", "write", "wait"]
