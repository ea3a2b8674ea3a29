"""Dialogues: what is asked, what counts, and what a verdict that breaks down does to a run."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from scorebench.api.errors import EngineError, UserError
from scorebench.api.protocols import Ask
from scorebench.api.types import Episode, Message, Problem, Reply, Sampling, Verdict
from scorebench.dialogue.player import EpisodeRequest, Player, seed_of
from scorebench.methods.base import Base
from scorebench.methods.pag import VerifyThenRevise, judged_wrong
from scorebench.methods.self_refine import FEEDBACK, REFINE, SelfRefine
from scorebench.methods.self_rewarding import SelfRewarding
from scorebench.storage.runs import as_episode, as_row
from tests.toy import Toy


class Parrot:
    """An engine without ids that answers with the number of messages it sees."""

    name = "parrot"
    chat = None
    at_once = 4

    def __init__(self) -> None:
        self.seen: list[tuple[Message, ...]] = []
        self.open = self.most_open = 0

    async def reply(self, prompt_ids: Any, messages: tuple[Message, ...], sampling: Sampling, seed: int) -> Reply:
        self.seen.append(messages)
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        await asyncio.sleep(0.001)
        self.open -= 1
        return Reply(f"{len(messages)} {seed}")


class Brittle(Toy):
    def grade(self, problem: Problem, reply: str) -> Verdict:
        raise OSError("no more processes")


def play(method: Any, jobs: list[EpisodeRequest], task: Any = None, turns: int = 2) -> tuple[Parrot, list[Episode]]:
    engine = Parrot()
    player = Player(method, task or Toy(), engine, Sampling(), turns, 7, ThreadPoolExecutor(2))

    async def all_of_them() -> list[Episode]:
        return [episode async for episode in player.episodes(jobs, engine.at_once)]

    return engine, asyncio.run(all_of_them())


def problems(count: int = 1) -> list[EpisodeRequest]:
    return [EpisodeRequest(problem, 0) for problem in Toy().load("test", None).problems[:count]]  # type: ignore[arg-type]


def test_the_correction_is_fixed_and_says_nothing_of_the_verdict() -> None:
    _, (episode,) = play(Base(), problems(), turns=3)
    assert [m["content"] for m in episode.transcript if m["role"] == "user"] == ["say 0", "again", "again"]
    assert [a.reply.text for a in episode.attempts] == [
        m["content"] for m in episode.transcript if m["role"] == "assistant"
    ]


def test_feedback_is_asked_for_but_is_no_attempt() -> None:
    _, (episode,) = play(SelfRefine(), problems())
    asked = [m["content"] for m in episode.transcript if m["role"] == "user"]
    assert asked == ["say 0", FEEDBACK, f"{REFINE} begin with ASCII"]
    assert [a.reply.text.split()[0] for a in episode.attempts] == ["1", "5"]


class Says(Parrot):
    """An engine that says these replies in order."""

    def __init__(self, *texts: str) -> None:
        super().__init__()
        self.texts = list(texts)

    async def reply(self, prompt_ids: Any, messages: tuple[Message, ...], sampling: Sampling, seed: int) -> Reply:
        self.seen.append(messages)
        text = self.texts.pop(0)
        return Reply(text, tokens=len(text))


@pytest.mark.parametrize(
    ("method", "said", "attempts", "tokens"),
    [
        (VerifyThenRevise(), ["a", "So it is right.", "checked: correct"], ["a", "a", "a"], [1, 15, 16]),
        (VerifyThenRevise(), ["a", "It is not right.", "b", "It is wrong? No, right."], ["a", "b", "b"], [1, 17, 23]),
        (VerifyThenRevise(), ["a", "(no judgement)", "The answer is incorrect.", "b"], ["a", "a", "b"], [1, 14, 25]),
        (SelfRewarding(), ["a", "right", "right"], ["a", "a", "a"], [1, 5, 5]),
        (SelfRewarding(), ["a", "wrong; b", "right"], ["a", "wrong; b", "wrong; b"], [1, 8, 5]),
        (SelfRefine(), ["a", "a review", "b", "another", "c"], ["a", "b", "c"], [1, 9, 8]),
    ],
)
def test_an_answer_that_is_judged_right_stands_and_what_is_sampled_counts_once(
    method: Any, said: list[str], attempts: list[str], tokens: list[int]
) -> None:
    engine = Says(*said)
    player = Player(method, Toy(), engine, Sampling(), 3, 7, ThreadPoolExecutor(2))
    episode = asyncio.run(player.play(problems()[0]))
    assert [a.reply.text for a in episode.attempts] == attempts
    assert engine.texts == []
    assert [a.tokens for a in episode.attempts] == tokens
    assert as_row(as_episode(as_row(episode))) == as_row(episode)


def test_a_given_first_attempt_is_not_sampled() -> None:
    given = Reply("my wrong program", finish_reason="given")
    engine, (episode,) = play(Base(), [EpisodeRequest(problems()[0].problem, 0, given)])
    assert len(engine.seen) == 1
    assert engine.seen[0][1] == {"role": "assistant", "content": "my wrong program"}
    assert episode.attempts[0].reply.finish_reason == "given"


def test_every_dialogue_is_played_and_not_more_at_once_than_asked() -> None:
    engine, episodes = play(Base(), problems(20))
    assert {e.problem_id for e in episodes} == {f"test/{i}" for i in range(20)}
    assert engine.most_open == 4


def test_replies_are_seeded_by_what_they_are_not_by_when_they_come() -> None:
    _, some = play(Base(), problems(5))
    _, more = play(Base(), problems(20)[::-1])
    texts = {e.problem_id: [a.reply.text for a in e.attempts] for e in more}
    assert all([a.reply.text for a in e.attempts] == texts[e.problem_id] for e in some)
    assert len({seed_of(a, b) for a in range(30) for b in range(30)}) == 900


@pytest.mark.parametrize(
    ("verification", "wrong"),
    [
        ("It checks out, so the answer is right.", False),
        ("Substituting gives 7, not 5: the answer is incorrect.", True),
        ("The answer isn't right.", True),
        ("That isn’t quite correct.", True),
        ("This is not the correct answer.", True),
        ("The first step cannot be right", True),
        ("I see that it is not wrong.", False),
        ("I do not find anything wrong.", False),
        ("Nothing is wrong here.", False),
        ("At first it seemed wrong. It is not. The answer is correct.", False),
        ("The method is right. The result is wrong.", True),
        ("No word of judgement; the sum is brightly correctable.", False),
    ],
)
def test_a_verification_is_read_with_its_negations(verification: str, wrong: bool) -> None:
    assert judged_wrong(verification) is wrong


def test_a_grader_that_breaks_down_is_an_error_and_not_a_wrong_answer() -> None:
    _, (episode,) = play(Base(), problems(), Brittle())
    assert [a.verdict.outcome for a in episode.attempts] == ["error", "error"]
    assert "no more processes" in episode.attempts[0].verdict.detail


def test_a_reply_that_comes_again_is_graded_once_but_anew_after_an_error() -> None:
    graded: list[tuple[str, str]] = []

    class Counting(Toy):
        def grade(self, problem: Problem, reply: str) -> Verdict:
            graded.append((problem.id, reply))
            if graded.count((problem.id, reply)) == 1 and reply == "odd":
                raise OSError("no more processes")
            return super().grade(problem, reply)

    one, other = problems(2)
    player = Player(Base(), Counting(), Says(*"aabcaa"), Sampling(), 3, 7, ThreadPoolExecutor(2))

    async def in_turn(jobs: list[EpisodeRequest]) -> list[Episode]:
        return [await player.play(job) for job in jobs]

    asyncio.run(in_turn([one, other]))
    assert sorted(graded) == sorted(
        [(one.problem.id, "a"), (one.problem.id, "b"), *((other.problem.id, c) for c in "ca")]
    )
    graded.clear()
    player = Player(Base(), Counting(), Says("odd", "odd"), Sampling(), 1, 7, ThreadPoolExecutor(2))
    first, again = asyncio.run(in_turn([one, one]))
    assert [e.attempts[0].verdict.outcome for e in (first, again)] == ["error", "pass"]


def test_an_engine_that_fails_is_an_error_of_the_attempts_that_are_missing() -> None:
    class Cut(Parrot):
        async def reply(self, prompt_ids: Any, messages: tuple[Message, ...], sampling: Sampling, seed: int) -> Reply:
            if len(messages) > 1:
                raise EngineError("the endpoint closed the connection")
            return Reply("first")

    player = Player(Base(), Toy(), Cut(), Sampling(), 3, 7, ThreadPoolExecutor(2))
    episode = asyncio.run(player.play(problems()[0]))
    assert [a.verdict.outcome for a in episode.attempts] == ["pass", "error", "error"]
    assert episode.attempts[2].verdict.detail == "the endpoint closed the connection"
    assert as_row(as_episode(as_row(episode))) == as_row(episode)


def test_a_bug_in_a_method_is_not_hidden() -> None:
    class Failing(Base):
        def dialogue(self, task: Any, problem: Any, turns: int) -> Any:
            raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        play(Failing(), problems(3))


class Faulty:
    """A method whose dialogue is at fault."""

    name = "faulty"

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def dialogue(self, task: Any, problem: Problem, turns: int) -> Any:
        yield Ask(({"role": "user", "content": "say"},))
        if self.fault == "too many":
            yield from [Ask(({"role": "user", "content": "more"},))] * turns
        elif self.fault == "endless":
            while True:
                yield Ask(({"role": "user", "content": "review"},), attempt=False)
        elif self.fault == "breaks down":
            raise ZeroDivisionError("by zero")
        elif self.fault == "no Ask":
            yield "more"


@pytest.mark.parametrize("fault", ["too few", "too many", "endless", "breaks down", "no Ask"])
def test_a_faulty_dialogue_is_one_sentence_that_names_the_method_and_its_module(fault: str) -> None:
    with pytest.raises(UserError, match=r"faulty \(in tests.dialogue.test_player\)"):
        play(Faulty(fault), problems())
