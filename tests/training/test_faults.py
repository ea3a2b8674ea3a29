"""What a rollout can bring with it must not end a training, silence a check, or be counted as something else."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from scorebench.api.config import changed
from scorebench.api.errors import EngineError, UserError
from scorebench.api.types import Attempt, Episode, Message, Reply, Sampling, Verdict
from scorebench.dialogue import player as players
from scorebench.dialogue.player import NO_REPLY, EpisodeRequest, Player
from scorebench.engines.hf.engine import HFEngine
from scorebench.methods.base import Base
from scorebench.methods.score import offline, score, single_turn
from scorebench.methods.star import Star
from scorebench.training.checkpoint import StageState
from scorebench.training.context import LocalTrainingContext
from scorebench.training.optimizer import adam
from scorebench.training.rollout import Rollout, as_given, as_rollout, as_sequences, collect, outcomes
from scorebench.training.update import UpdateStats, update
from tests import tiny
from tests.toy import Toy
from tests.training.test_score import CONFIG, STAGE2, TINY, context, rollout, short, steps
from tests.training.test_sft import IMITATION


def stepped(played: Rollout, policy: Any = None, baseline: tuple[float, float] = (0.3, 0.1)) -> UpdateStats:
    policy = policy or tiny.model()
    optimizer = torch.optim.SGD(policy.parameters(), lr=0.0)
    return update(policy, tiny.model(seed=1), optimizer, played, STAGE2, list(baseline), 1.0, 10_000)


def with_given_firsts(problems: int = 4) -> Rollout:
    """Dialogues of the tiny model: of four on each problem, three have first attempts of another model."""
    asked = Toy().load("train", None).problems[:problems]  # type: ignore[arg-type]
    sampling, graders = Sampling(temperature=1.0, max_tokens=8), ThreadPoolExecutor(2)
    base = Player(Base(), Toy(), HFEngine(tiny.model(seed=1), tiny.tokenizer(), 16), sampling, 1, 0, graders)
    firsts = [as_given(e.attempts[0]) for e in asyncio.run(collect(base, asked, 3)).episodes]
    flat = [reply for at in range(0, len(firsts), 3) for reply in [*firsts[at : at + 3], None]]
    player = Player(Base(), Toy(), HFEngine(tiny.model(), tiny.tokenizer(), 16), sampling, 2, 0, graders)
    return asyncio.run(collect(player, asked, 4, flat))


def test_the_drift_guard_sees_every_sampled_token_beside_given_attempts() -> None:
    played = with_given_firsts()
    assert stepped(played).worst_logprob_gap < 1e-4
    drifted = tiny.model()
    with torch.no_grad():
        for parameter in drifted.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    before = copy.deepcopy(drifted.state_dict())
    with pytest.raises(UserError, match="disagree"):
        stepped(played, drifted)
    assert all(torch.equal(tensor, drifted.state_dict()[name]) for name, tensor in before.items())


def test_logs_by_turn_are_means_over_the_attempts_that_were_sampled_at_that_turn() -> None:
    played = with_given_firsts()
    stats, logged = stepped(played), outcomes(played)
    own = [[len(e.attempts[t].reply.token_ids) for e in played.episodes] for t in (0, 1)]
    own[0] = own[0][3::4]  # of four dialogues on a problem, the last has a first attempt of its own
    assert stats.tokens_T == [sum(lengths) / len(lengths) for lengths in own]
    assert logged["length"] == stats.tokens_T
    alone = [e for i, e in enumerate(played.episodes) if i % 4 == 3]
    first_turns = as_rollout([dataclasses.replace(e, attempts=e.attempts[:1]) for e in alone], 1)
    alone_stats = update(
        *(tiny.model(), tiny.model(seed=1), torch.optim.SGD(tiny.model().parameters(), lr=0.0), first_turns),
        *(STAGE2.model_copy(update={"reward": (1,), "kl": (0.1,)}), [0.0], 1.0, 10_000),
    )
    assert stats.kl_T[0] == pytest.approx(alone_stats.kl_T[0], rel=1e-4)
    assert stats.entropy_T[0] == pytest.approx(alone_stats.entropy_T[0], rel=1e-4)
    assert logged["correct"][0] == sum(e.attempts[0].verdict.passed for e in alone) / len(alone)
    assert logged["replies"] == 32


class Faulty(HFEngine):
    """An engine that gives no reply, or an empty one, at the first or the second turn of some dialogues."""

    fault = ""

    async def reply(
        self, prompt_ids: tuple[int, ...], messages: tuple[Message, ...], sampling: Sampling, seed: int
    ) -> Reply:
        struck = seed % 3 == 0 or self.fault.endswith("everywhere")
        if struck and (len(messages) > 1) == self.fault.startswith("turn 2"):
            if "error" in self.fault:
                raise EngineError("the engine gave no reply")
            return Reply("", finish_reason="length", prompt_ids=prompt_ids, prompt_tokens=len(prompt_ids))
        return await super().reply(prompt_ids, messages, sampling, seed)


FAULTS = ["turn 2, error", "turn 1, error", "turn 2, empty", "turn 1, empty", "turn 1, error everywhere"]
FAULTS += ["turn 1, empty everywhere", "turn 2, error everywhere"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", ["plain", "offline", "star"])
def test_a_reply_that_is_missing_or_empty_does_not_end_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, kind: str
) -> None:
    monkeypatch.setattr(Faulty, "fault", fault)
    taught = context(tmp_path)
    monkeypatch.setattr(LocalTrainingContext, "hf_engine", lambda self, model: Faulty(model, self.tokenizer, 16))
    if kind == "star":
        if "error everywhere" in fault:
            with pytest.raises(UserError, match="none of the sampled dialogues"):
                Star("star", plus=False).train(taught, IMITATION)
            return
        Star("star", plus=False).train(taught, IMITATION)
        assert len(steps(tmp_path / "round2")) == 4
        return
    config = short(CONFIG, 2).model_copy(update={"offline": 1.0} if kind == "offline" else {})
    score.train(taught, config)
    rows = steps(tmp_path / "stage1") + steps(tmp_path / "stage2")
    assert len(rows) == 4
    assert all(torch.isfinite(p).all() for p in taught.policy.parameters())
    assert (max(row["errors"] for row in rows) > 0) == ("error" in fault)


def verdicts(*pairs: tuple[str, str]) -> Rollout:
    """Dialogues of two attempts with these outcomes."""

    def attempt(outcome: Any, ids: tuple[int, ...]) -> Attempt:
        rule = NO_REPLY[0] if outcome == "error" else ""
        reply = Reply(outcome, token_ids=(5,), logprobs=(-1.0,), prompt_ids=ids, tokens=1)
        return Attempt(reply, Verdict(outcome, rule=rule))

    episodes = [
        Episode(str(i), 0, (attempt(first, (1,)), attempt(last, (1, 5, 2)))) for i, (first, last) in enumerate(pairs)
    ]
    return as_rollout(episodes, 1)


def test_an_error_is_no_flip_and_in_no_share() -> None:
    logged = outcomes(
        verdicts(("error", "pass"), ("pass", "error"), ("fail", "pass"), ("pass", "fail"), ("pass", "pass"))
    )
    assert (logged["i_to_c"], logged["c_to_i"], logged["errors"]) == (1 / 3, 1 / 3, 2)
    assert logged["correct"] == pytest.approx(
        [3 / 4, 2 / 3]
    )  # attempt 2 after an error has no known change, so it is left out too


def test_an_echo_is_paid_only_where_that_is_asked_for() -> None:
    @dataclasses.dataclass(frozen=True)
    class Echoed(Verdict):
        echo: bool = True

    made = verdicts(("fail", "pass"))
    (episode,) = made.episodes
    echo = dataclasses.replace(episode.attempts[1], verdict=Echoed("pass"))
    episode = dataclasses.replace(episode, attempts=(episode.attempts[0], echo))
    assert as_rollout([episode], 1).correct_PKT.tolist() == [[[0.0, 0.0]]]
    assert as_rollout([episode], 1, pay_echoes=True).correct_PKT.tolist() == [[[0.0, 1.0]]]
    assert outcomes(as_rollout([episode], 1))["echoes"] == 1


def test_a_log_row_cannot_overwrite_what_selects_the_weights(tmp_path: Path) -> None:
    state = StageState(tmp_path / "s", tiny.model(), adam(tiny.model(), 1e-3), kl_T=[])
    with pytest.raises(ValueError, match="reward"):
        state.advance(0.5, [], {"reward": 9.0})
    assert state.step == 0
    score.train(context(tmp_path / "t"), short(CONFIG, 1))
    (row,) = steps(tmp_path / "t" / "stage2")
    assert row["reward"] == pytest.approx(sum(row["correct"]))
    assert "shaped_reward" in row


@pytest.mark.parametrize("size", [5, 12, 40])
def test_batches_are_always_full_and_every_problem_comes_once_before_any_again(
    tmp_path: Path, size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    few = dataclasses.replace(context(tmp_path), problems=Toy().load("train", None).problems[:12])  # type: ignore[arg-type]
    batches = few.batches(size, "stage", 0)
    drawn = [problem.id for _ in range(12) for batch in [next(batches)] for problem in batch]
    assert len(drawn) == 12 * size
    for epoch in range(len(drawn) // 12):
        assert len(set(drawn[12 * epoch : 12 * epoch + 12])) == 12
    later = few.batches(size, "stage", 5)
    assert [problem.id for problem in next(later)] == drawn[5 * size : 6 * size]
    assert ("more than once" in capsys.readouterr().err) == (size > 12)


def test_a_problem_that_is_twice_in_a_batch_has_different_dialogues() -> None:
    (problem,) = Toy().load("train", None).problems[:1]  # type: ignore[arg-type]
    engine = HFEngine(tiny.model(), tiny.tokenizer(), slots=16)
    player = Player(Base(), Toy(), engine, Sampling(temperature=1.0, max_tokens=8), 1, 0, ThreadPoolExecutor(2))
    played = asyncio.run(collect(player, [problem, problem], 4))
    assert played.correct_PKT.shape == (2, 4, 1)
    assert len({e.attempts[0].reply.token_ids for e in played.episodes}) == 8


WRONG = (
    *("problems=[1", "problems={", "problems='", "problems=1: 2: 3", "problems=@", "problems=2024-13-45", "problems="),
    *("problems=" + "[" * 3000, "problems=none", "problems=.nan", "temperature=.inf", "stage1.kl=0.1", "offline=2"),
    *("stage1.reward=[]", "stages=5", "stage1=", "max_grad_norm=0", "max_grad_norm=-1"),
)


@pytest.mark.parametrize("assignment", WRONG)
def test_a_value_that_cannot_be_taken_is_one_sentence(assignment: str) -> None:
    with pytest.raises(UserError) as said:
        changed(CONFIG, [assignment])
    assert "--set" in str(said.value)


def test_no_value_is_none() -> None:
    assert changed(CONFIG, ["max_grad_norm=2.5"]).max_grad_norm == 2.5
    assert changed(CONFIG, ["max_grad_norm=none"]).max_grad_norm is None


def test_offline_needs_two_dialogues_to_compare() -> None:
    for samples, share in ((2, 1.0), (2, 0.5)):
        with pytest.raises(UserError, match="raise samples"):
            changed(CONFIG, [f"samples={samples}", f"offline={share}"])
    assert changed(CONFIG, ["samples=3", "offline=1"]).shares(2) == (0, 2, 2)


def test_a_player_remembers_a_bounded_number_of_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(players, "_REMEMBERED", 10)
    engine = HFEngine(tiny.model(), tiny.tokenizer(), slots=16)
    player = Player(Base(), Toy(), engine, Sampling(temperature=1.0, max_tokens=4), 2, 0, ThreadPoolExecutor(2))
    jobs = [EpisodeRequest(p, k) for p in Toy().load("train", None).problems for k in range(2)]  # type: ignore[arg-type]

    async def play() -> list[Episode]:
        return [episode async for episode in player.episodes(jobs, 32)]

    played = asyncio.run(play())
    assert len(played) == 64
    assert len(player.formed) == 10
    fresh = Player(Base(), Toy(), engine, Sampling(temperature=1.0, max_tokens=4), 2, 0, ThreadPoolExecutor(2))
    assert all(a.verdict == fresh.task.grade(jobs[0].problem, a.reply.text) for e in played for a in e.attempts)


def test_a_dialogue_that_ends_early_is_trained_on_up_to_there() -> None:
    whole = rollout(tiny.model(), problems=1).episodes[0]
    missing = dataclasses.replace(
        whole, attempts=(whole.attempts[0], Attempt(Reply(""), Verdict("error", rule=NO_REPLY[0])))
    )
    sequences = as_sequences([missing], torch.device("cpu"))
    first = whole.attempts[0].reply
    assert sequences.ids_BL[0].tolist() == [*first.prompt_ids, *first.token_ids]
    assert sequences.turn_BL[0].sum() == len(first.token_ids)


def test_offline_and_single_turn_sample_what_score_samples(tmp_path: Path) -> None:
    one = TINY._replace(steps=2)
    sampled = {}
    for method in (score, offline, single_turn):
        method.train(context(tmp_path / method.name), method.build(one))
        rows = [json.loads(line) for log in tmp_path.glob(f"{method.name}/*/steps.jsonl") for line in log.open()]
        sampled[method.name] = [row["replies"] for row in rows]
    assert set(map(tuple, sampled.values())) == {(32, 32)}
