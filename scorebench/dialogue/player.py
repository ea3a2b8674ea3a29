"""Plays dialogues: asks what a method wants asked, keeps the conversation, grades what counts as an attempt.

Dialogues do not wait for each other. Each is a coroutine; the engine batches whatever is waiting, and a verdict is
formed in a worker while the dialogue goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from scorebench.api.errors import EngineError, PromptTooLongError, UserError
from scorebench.api.protocols import Engine, Method, Task
from scorebench.api.types import Attempt, Episode, Message, Problem, Reply, Sampling, Verdict

# The rules of attempts that the engine never made: there is nothing to grade in them.
NO_REPLY = EngineError.rule
UNANSWERED = (NO_REPLY, PromptTooLongError.rule)

_GRADERS = 8  # threads that wait for verdicts; the workers behind them are processes


@contextmanager
def graders() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(_GRADERS, thread_name_prefix="grader") as pool:
        yield pool


def seed_of(*parts: object) -> int:
    """A 63-bit seed that depends on its parts alone: neither on order of arrival nor on the process."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


@dataclass(frozen=True)
class EpisodeRequest:
    """One dialogue to be played.

    given: a fixed first attempt that is not sampled (a repair task's, or an offline one of training).
    """

    problem: Problem
    sample: int
    given: Reply | None = None


# The dialogue that the running coroutine plays: for engines that answer from a record and must know where they are.
playing: ContextVar[EpisodeRequest] = ContextVar("playing")


@dataclass(frozen=True)
class Player:
    """Plays jobs with one method, task and engine.

    graders: the threads in which verdicts are awaited; the work itself is done by worker processes.
    formed: the verdicts so far and those to come, for replies that come again: most second attempts of an untrained
        model are its first.
    """

    method: Method
    task: Task
    engine: Engine
    sampling: Sampling
    turns: int
    seed: int
    graders: Executor
    formed: dict[int, Future[Verdict]] = field(default_factory=dict, repr=False, compare=False)

    async def episodes(self, jobs: Iterable[EpisodeRequest], at_once: int) -> AsyncIterator[Episode]:
        """Episodes as they complete, in no particular order; at most `at_once` dialogues are open at a time."""
        waiting = iter(jobs)
        complete: asyncio.Queue[Episode | None] = asyncio.Queue()

        async def work() -> None:
            for job in waiting:
                complete.put_nowait(await self.play(job))

        crew = asyncio.gather(*(work() for _ in range(at_once)))
        crew.add_done_callback(lambda _: complete.put_nowait(None))
        try:
            while (episode := await complete.get()) is not None:
                yield episode
            await crew  # raises what a dialogue raised
        finally:
            crew.cancel()

    async def play(self, job: EpisodeRequest) -> Episode:
        """One dialogue from first prompt to last verdict."""
        start = time.monotonic()
        playing.set(job)
        conversation = _Conversation(self.engine)
        dialogue = self.method.dialogue(self.task, job.problem, self.turns)
        replies: list[Reply] = []
        verdicts: list[asyncio.Future[Verdict]] = []
        sampled = [0]  # tokens of each turn; those of the turn to come stand last
        ask = next(dialogue)
        for number in range(10_000):
            given = job.given if ask.attempt and not replies else None
            seed = seed_of(self.seed, job.problem.id, job.sample, number)
            try:
                reply = ask.keep or await conversation.ask(ask.messages, self.sampling, seed, given)
            except EngineError as fault:
                for _ in range(self.turns - len(replies)):
                    replies.append(conversation.unanswered())
                    verdicts.append(_known(Verdict("error", rule=fault.rule, detail=str(fault))))
                    sampled.append(0)
                break
            sampled[-1] += 0 if ask.keep else reply.tokens
            if ask.attempt:
                sampled.append(0)
                replies.append(reply)
                verdicts.append(self._grade(job.problem, reply.text))
            try:
                ask = dialogue.send(reply)
            except StopIteration:
                break
        parts = zip(replies, await asyncio.gather(*verdicts), sampled[:-1], strict=True)
        attempts = tuple(Attempt(*part) for part in parts)
        if len(attempts) != self.turns:
            raise RuntimeError(f"method {self.method.name} made {len(attempts)} attempts in a dialogue of {self.turns}")
        return Episode(
            problem_id=job.problem.id,
            sample=job.sample,
            attempts=attempts,
            transcript=tuple(conversation.messages),
            tags=job.problem.tags,
            seconds=time.monotonic() - start,
        )

    def _grade(self, problem: Problem, text: str) -> asyncio.Future[Verdict]:
        """The verdict to come. The same reply to the same problem is graded once, or again after an error."""
        key = seed_of(problem.id, text)
        verdict = self.formed.get(key)
        if verdict is None or (verdict.done() and verdict.result().outcome == "error"):
            verdict = self.formed[key] = self.graders.submit(graded, self.task.grade, problem, text)
        return asyncio.wrap_future(verdict)


def graded(grade: Callable[[Problem, str], Verdict], problem: Problem, text: str) -> Verdict:
    """A verdict, always: a grader that breaks down is an error of the harness, and no reason to lose a run.

    Raises UserError where nothing can be graded on this machine: that is for the user to mend.
    """
    try:
        return grade(problem, text)
    except UserError:
        raise
    except Exception as fault:
        return Verdict("error", rule="grader-broke", detail=f"{type(fault).__name__}: {fault}"[:500])


class _Conversation:
    """The state of one dialogue: its messages, and its exact ids where the engine works on ids."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.messages: list[Message] = []
        self.ids: tuple[int, ...] = ()
        self.last: Reply | None = None

    async def ask(self, new: tuple[Message, ...], sampling: Sampling, seed: int, given: Reply | None) -> Reply:
        chat = self.engine.chat
        if chat:
            self.ids = chat.extend(self.ids, self.last, new) if self.last else chat.first(new)
        self.messages.extend(new)
        if given is None:
            self.last = await self.engine.reply(self.ids, tuple(self.messages), sampling, seed)
        else:
            self.last = _as_given(given, self.ids, chat.answer_ids(given.text) if chat else ())
        self.messages.append({"role": "assistant", "content": self.last.text})
        return self.last

    def unanswered(self) -> Reply:
        """What stands in the record for a reply that the engine could not give."""
        self.messages.append({"role": "assistant", "content": ""})
        return Reply("")


def _known(verdict: Verdict) -> asyncio.Future[Verdict]:
    future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
    future.set_result(verdict)
    return future


def _as_given(given: Reply, prompt_ids: tuple[int, ...], answer_ids: tuple[int, ...]) -> Reply:
    ids = given.token_ids or answer_ids
    return Reply(
        text=given.text, token_ids=ids, finish_reason="given", prompt_ids=prompt_ids, prompt_tokens=len(prompt_ids)
    )
