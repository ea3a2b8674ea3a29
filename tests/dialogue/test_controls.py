"""Controls: what each of them shows the model, and that nothing else reaches it."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from scorebench.api.errors import UserError
from scorebench.api.protocols import ModelSpec
from scorebench.api.types import Episode, Message, Problem, Reply, Sampling
from scorebench.dialogue.identity import method_identity
from scorebench.dialogue.player import EpisodeRequest, Player
from scorebench.engines.hf.engine import HFEngine
from scorebench.engines.replay import open_engine
from scorebench.evaluation.runner import evaluate
from scorebench.methods.base import Base
from scorebench.methods.donor import Donor
from scorebench.methods.oracle import Oracle
from scorebench.methods.resample import Resample
from scorebench.storage.rows import as_episode, as_row
from scorebench.storage.runs import open_run
from tests import tiny
from tests.dialogue.test_player import Parrot
from tests.toy import Toy

PROBLEMS = Toy().load("test", None).problems[:6]  # type: ignore[arg-type]
RUN: dict[str, Any] = {
    "task": {"name": "toy"},
    "data": "embedded",
    "split": "test",
    "model": {"name": "m"},
    "samples": 1,
    "turns": 2,
    "seed": 0,
}


class Hashing(Parrot):
    """An engine whose reply depends on what it is shown and on the seed, and that says what it was shown."""

    async def reply(self, prompt_ids: Any, messages: tuple[Message, ...], sampling: Sampling, seed: int) -> Reply:
        self.seen.append(messages)
        return Reply(f"{messages[-1]['content']} {seed % 97}", tokens=5)


def played(method: Any, engine: Any, turns: int = 2, problem: Problem = PROBLEMS[1]) -> Episode:
    player = Player(method, Toy(), engine, Sampling(temperature=1), turns, 7, ThreadPoolExecutor(2))
    return asyncio.run(player.play(EpisodeRequest(problem, 0, donor=PROBLEMS[0])))


def shown(messages: tuple[Message, ...]) -> list[str]:
    return [message["content"] for message in messages]


def test_resample_shows_the_first_prompt_alone_each_time() -> None:
    engine = Hashing()
    episode = played(Resample(), engine, turns=3)
    assert [shown(messages) for messages in engine.seen] == [["say 1"]] * 3
    assert len({a.reply.text for a in episode.attempts}) == 3
    assert as_row(as_episode(as_row(episode))) == as_row(episode)


def test_resample_equals_two_independent_samples(tmp_path: Path) -> None:
    """Recorded: the two samples of each problem; verdicts by turn are those that the samples have one by one."""
    replies = {p.id: [f"{p.id} a", f"é {p.id}"][:: 1 if n % 2 else -1] for n, p in enumerate(PROBLEMS)}
    file = tmp_path / "samples.jsonl"
    file.write_text("".join(json.dumps({"id": key, "attempts": both}) + "\n" for key, both in replies.items()))
    single = tmp_path / "singles.jsonl"
    rows = [{"id": key, "attempts": [text]} for key, both in replies.items() for text in both]
    single.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def run(method: Any, source: Path, turns: int, samples: int) -> list[Episode]:
        engine = open_engine(ModelSpec(str(source), "recorded", engine="replay"))
        identity = {**RUN, "method": {"name": method.name}, "turns": turns, "samples": samples}
        work = evaluate(open_run(tmp_path, identity), method, Toy(), PROBLEMS, engine, Sampling(), turns, samples, 0)
        return asyncio.run(work)

    pairs = [[a.verdict for a in episode.attempts] for episode in run(Resample(), file, 2, 1)]
    flat = [episode.attempts[0].verdict for episode in run(Base(), single, 1, 2)]
    assert pairs == [[flat[2 * n], flat[2 * n + 1]] for n in range(len(PROBLEMS))]
    assert {v.outcome for pair in pairs for v in pair} == {"pass", "fail"}


def test_a_token_exact_engine_begins_anew_for_resample() -> None:
    torch.manual_seed(0)
    engine = HFEngine(tiny.model(), tiny.tokenizer(), slots=4)
    sampling = Sampling(temperature=1.0, max_tokens=12)
    player = Player(Resample(), Toy(), engine, sampling, 2, 7, ThreadPoolExecutor(2))
    episode = asyncio.run(player.play(EpisodeRequest(PROBLEMS[1], 0)))
    first, second = (attempt.reply for attempt in episode.attempts)
    assert first.prompt_ids == second.prompt_ids != ()
    assert first.token_ids != second.token_ids


def test_donor_puts_the_other_problem_s_attempt_before_the_correction() -> None:
    engine = Hashing()
    episode = played(Donor(), engine, turns=3)
    own, other, second, third = (shown(messages) for messages in engine.seen)
    assert (own, other) == (["say 1"], ["say 0"])
    donated = second[1]
    assert donated.startswith("say 0 ")
    assert second == ["say 1", donated, "again"]
    assert third == [*second, episode.attempts[1].reply.text, "again"]
    assert [a.reply.text.split()[0] for a in episode.attempts] == ["say", "again", "again"]
    assert [a.tokens for a in episode.attempts] == [5, 10, 5], "the donor's attempt is paid for in turn 2"
    assert as_row(as_episode(as_row(episode))) == as_row(episode)


def test_a_donor_that_comes_with_an_attempt_gives_that_one() -> None:
    engine = Hashing()
    player = Player(Donor(), Toy(), engine, Sampling(), 2, 7, ThreadPoolExecutor(2))
    donor = Problem("test/0", "say 0", "ascii", given="my wrong program")
    asyncio.run(player.play(EpisodeRequest(PROBLEMS[1], 0, donor=donor)))
    assert [shown(messages) for messages in engine.seen][1] == ["say 1", "my wrong program", "again"]


def test_donor_needs_another_problem(tmp_path: Path) -> None:
    run = open_run(tmp_path, {**RUN, "method": {"name": "donor"}})
    with pytest.raises(UserError, match="one problem only"):
        asyncio.run(evaluate(run, Donor(), Toy(), PROBLEMS[:1], Hashing(), Sampling(), 2, 1, 0))


def test_every_problem_has_the_same_donor_whatever_is_played_again(tmp_path: Path) -> None:
    run = open_run(tmp_path, {**RUN, "method": {"name": "donor"}})
    whole = asyncio.run(evaluate(run, Donor(), Toy(), PROBLEMS, Hashing(), Sampling(), 2, 1, 0))
    path = run.folder / "episodes.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    again = asyncio.run(evaluate(run, Donor(), Toy(), PROBLEMS, Hashing(), Sampling(), 2, 1, 0))
    assert [e.transcript for e in again] == [e.transcript for e in whole]
    assert len({e.transcript[2]["content"] for e in whole}) == len(PROBLEMS)


class Says(Parrot):
    def __init__(self, *texts: str) -> None:
        super().__init__()
        self.texts = list(texts)

    async def reply(self, prompt_ids: Any, messages: tuple[Message, ...], sampling: Sampling, seed: int) -> Reply:
        return Reply(self.texts.pop(0), tokens=2)


@pytest.mark.parametrize(
    ("said", "attempts"),
    [
        (["right"], ["right"] * 3),
        (["é", "right"], ["é", "right", "right"]),
        (["é", "ä", "right"], ["é", "ä", "right"]),
        (["é", "ä", "ö"], ["é", "ä", "ö"]),
    ],
)
def test_oracle_stops_at_the_first_right_answer_and_keeps_it(said: list[str], attempts: list[str]) -> None:
    engine = Says(*said)
    episode = played(Oracle(), engine, turns=3)
    assert [a.reply.text for a in episode.attempts] == attempts
    assert engine.texts == []
    assert sum(a.tokens for a in episode.attempts) == 2 * len(said)
    assert "oracle" in Oracle().name


def test_no_other_method_is_told_a_verdict() -> None:
    from scorebench.api import registry

    methods = [registry.find("method", name) for name in registry.names("method")]
    assert {m.name for m in methods if getattr(m, "sees_verdicts", False)} == {"oracle"}
    assert {m.name for m in methods if getattr(m, "takes_donor", False)} == {"donor"}


def test_a_method_is_identified_by_its_version_and_by_all_that_it_asks() -> None:
    class Changed(Toy):
        correction = "once more"

    class Newer(Base):
        version = "2"

    def identity(method: Any, task: Any = None) -> Any:
        return method_identity(method, task or Toy(), PROBLEMS)

    assert identity(Base()) == identity(Base())
    different = [identity(m) for m in (Base(), Newer(), Oracle(), Donor(), Resample())]
    assert len({json.dumps({**one, "name": ""}) for one in different}) == 5
    assert identity(Base(), Changed()) != identity(Base())
    assert identity(Resample(), Changed()) == identity(Resample())
