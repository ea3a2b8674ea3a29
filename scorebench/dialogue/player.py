"""Plays dialogues: asks what a method wants asked, keeps the conversation, grades what counts as an attempt.

Dialogues do not wait for each other. Each is a coroutine; the engine batches whatever is waiting, and a verdict is
formed in a worker while the dialogue goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

from scorebench.api.errors import EngineError, PromptTooLongError, UserError
from scorebench.api.protocols import Ask, Engine, Method, Task
from scorebench.api.text import as_text
from scorebench.api.types import Attempt, Episode, Message, Problem, Reply, Sampling, Verdict

# The rules of attempts that the engine never made: there is nothing to grade in them.
NO_REPLY = (EngineError.rule, PromptTooLongError.rule)

_GRADERS = 8  # threads that wait for verdicts; the workers behind them are processes
_ASKS_A_TURN = 50  # a dialogue that asks more often than this for each of its attempts is taken for endless
_REMEMBERED = 4096  # verdicts that are kept for replies that come again
_DETAIL = 2000  # characters of a verdict's detail that are kept


@contextmanager
def graders() -> Iterator[ThreadPoolExecutor]:
    """Threads that wait for verdicts. After an error or Ctrl-C, verdicts that nobody has begun are not formed."""
    pool = ThreadPoolExecutor(_GRADERS, thread_name_prefix="grader")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def seed_of(*parts: object) -> int:
    """A 63-bit seed that depends on its parts alone: neither on order of arrival nor on the process."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


@dataclass(frozen=True)
class EpisodeRequest:
    """One dialogue to be played.

    given: a fixed first attempt that is not sampled (a repair task's, or an offline one of training).
    donor: another problem, for methods that take one.
    """

    problem: Problem
    sample: int
    given: Reply | None = None
    donor: Problem | None = None


# For engines that answer from a record: the dialogue that the running coroutine plays, and how many replies it has had.
playing: ContextVar[EpisodeRequest] = ContextVar("playing")
replies_before: ContextVar[int] = ContextVar("replies_before")


@dataclass(frozen=True)
class Player:
    """Plays jobs with one method, task and engine.

    graders: the threads in which verdicts are awaited; the work itself is done by worker processes.
    formed: the verdicts of the last replies, finished or not. Most second attempts of an untrained model repeat its
        first, and the same reply to the same problem is graded once.
    """

    method: Method
    task: Task
    engine: Engine
    sampling: Sampling
    turns: int
    seed: int
    graders: Executor
    formed: dict[int, Future[Verdict]] = field(default_factory=dict, repr=False, compare=False)

    async def episodes(self, jobs: Iterable[EpisodeRequest], at_once: int) -> AsyncGenerator[Episode, None]:
        """Episodes as they complete, in no particular order; at most `at_once` dialogues are open at a time.

        When the caller stops, or a dialogue raises, the open dialogues are cancelled before this ends. So a caller that
        may stop early holds it in contextlib.aclosing.
        """
        waiting = iter(jobs)
        complete: asyncio.Queue[Episode | None] = asyncio.Queue()

        async def work() -> None:
            for job in waiting:
                complete.put_nowait(await self.play(job))

        crew = asyncio.create_task(_all_or_none([work() for _ in range(at_once)]))  # noqa: RUF006  (held below)
        crew.add_done_callback(lambda _: complete.put_nowait(None))
        try:
            while (episode := await complete.get()) is not None:
                yield episode
            await crew  # raises what a dialogue raised
        finally:
            crew.cancel()
            await asyncio.gather(crew, return_exceptions=True)

    async def play(self, job: EpisodeRequest) -> Episode:
        """One dialogue from first prompt to last verdict."""
        start = time.monotonic()
        playing.set(job)
        conversation = _Conversation(self.engine)
        turns: list[_Turn] = []
        try:
            await self._talk(job, conversation, turns)
        except EngineError as fault:
            missing = Verdict("error", rule=fault.rule, detail=as_text(str(fault)[:_DETAIL]))
            turns += [_Turn(conversation.unanswered(), _known(missing), 0) for _ in range(self.turns - len(turns))]
        verdicts = await asyncio.gather(*(turn.verdict for turn in turns))
        return Episode(
            problem_id=job.problem.id,
            sample=job.sample,
            attempts=tuple(Attempt(t.reply, v, t.sampled) for t, v in zip(turns, verdicts, strict=True)),
            transcript=tuple(conversation.transcript),
            tags=job.problem.tags,
            seconds=time.monotonic() - start,
        )

    async def _talk(self, job: EpisodeRequest, conversation: _Conversation, turns: list[_Turn]) -> None:
        """Plays the dialogue and adds its turns to `turns`.

        Raises UserError where the method does not keep to its protocol, and EngineError where a reply is missing.
        """
        dialogue, answer = self._dialogue(job), None
        sampled = 0  # tokens since the last attempt
        for number in range(_ASKS_A_TURN * self.turns):
            ask = self._next_ask(dialogue, answer)
            if ask is None:
                break
            if ask.attempt and len(turns) == self.turns:
                raise self._fault(f"makes more than the {self.turns} attempts that it was asked for")
            given = job.given if ask.attempt and not turns and job.given else ask.given
            seed = seed_of(self.seed, job.problem.id, job.sample, number)
            reply = ask.keep or await conversation.ask(ask, self.sampling, seed, given)
            sampled += 0 if ask.keep else reply.tokens
            verdict = self._grade(job.problem, reply.text) if ask.attempt else None
            if verdict:
                turns.append(_Turn(reply, verdict, sampled))
                sampled = 0
            answer = (reply, await verdict if verdict else None) if self._sees_verdicts else reply
        else:
            raise self._fault(f"asks more than {_ASKS_A_TURN} times for each of its attempts, as if without end")
        if len(turns) != self.turns:
            raise self._fault(f"makes {len(turns)} attempts where it was asked for {self.turns}")

    def _next_ask(self, dialogue: Generator[Ask, Any, None], answer: Any) -> Ask | None:
        """What the dialogue asks after this answer (None before the first); None at its end."""
        try:
            ask = dialogue.send(answer)
        except StopIteration:
            return None
        except UserError:
            raise
        except Exception as fault:
            raise self._fault(f"breaks down in its dialogue ({type(fault).__name__}: {fault!s:.200})") from fault
        if not isinstance(ask, Ask):
            raise self._fault(f"yields {type(ask).__name__} in its dialogue, where an Ask is needed")
        return ask

    def _dialogue(self, job: EpisodeRequest) -> Generator[Ask, Any, None]:
        donor = (job.donor,) if getattr(self.method, "takes_donor", False) else ()
        dialogue = self.method.dialogue(self.task, job.problem, self.turns, *donor)
        if not isinstance(dialogue, Generator):
            raise self._fault(f"has a dialogue that is {type(dialogue).__name__} and no generator of Asks")
        return dialogue

    @property
    def _sees_verdicts(self) -> bool:
        return getattr(self.method, "sees_verdicts", False)

    def _fault(self, what: str) -> UserError:
        """A fault of the method's author, which the user cannot mend: the sentence says where it is."""
        module = type(self.method).__module__
        return UserError(f"The method {self.method.name} (in {module}) {what}; tell its author, or mend it.")

    def _grade(self, problem: Problem, text: str) -> asyncio.Future[Verdict]:
        """The verdict to come. The same reply to the same problem is graded once, or again after an error."""
        key = seed_of(problem.id, text)
        verdict = self.formed.get(key)
        if verdict is None or (verdict.done() and verdict.result().outcome == "error"):
            if len(self.formed) >= _REMEMBERED:
                del self.formed[next(iter(self.formed))]
            verdict = self.formed[key] = self.graders.submit(graded, self.task.grade, problem, text)
        return asyncio.wrap_future(verdict)


async def _all_or_none(work: Iterable[Any]) -> None:
    """Runs coroutines beside each other. Where one raises, or this is cancelled, the others are cancelled too."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def graded(grade: Callable[[Problem, str], Verdict], problem: Problem, text: str) -> Verdict:
    """A verdict, always: a grader that breaks down is an error of the harness, and no reason to lose a run.

    Its detail is cut to a length that fits a row, and its texts can be written, whatever the reply was.
    Raises UserError where nothing can be graded on this machine, which the user has to mend.
    """
    try:
        verdict = grade(problem, text)
        answer = None if verdict.answer is None else as_text(verdict.answer)
        return replace(verdict, answer=answer, detail=as_text(verdict.detail[:_DETAIL]))
    except UserError:
        raise
    except Exception as fault:
        return Verdict("error", rule="grader-broke", detail=as_text(f"{type(fault).__name__}: {fault}"[:500]))


@dataclass(frozen=True)
class _Turn:
    """An attempt whose verdict may still be formed. sampled: the tokens that the turn took."""

    reply: Reply
    verdict: asyncio.Future[Verdict]
    sampled: int


class _Conversation:
    """The state of one dialogue: its messages, and its exact ids where the engine works on ids.

    transcript: all messages. The model sees those from `start` on; before it stand those of conversations that ended
    when a dialogue started anew.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.transcript: list[Message] = []
        self.start = 0
        self.ids: tuple[int, ...] = ()
        self.last: Reply | None = None

    async def ask(self, ask: Ask, sampling: Sampling, seed: int, given: Reply | None) -> Reply:
        """The reply to an Ask: the given one, or the engine's."""
        if ask.fresh:
            self.start, self.ids, self.last = len(self.transcript), (), None
        replies_before.set(sum(message["role"] == "assistant" for message in self.transcript))
        chat = self.engine.chat
        if chat:
            self.ids = chat.extend(self.ids, self.last, ask.messages) if self.last else chat.first(ask.messages)
        self.transcript.extend(ask.messages)
        if given is None:
            reply = await self.engine.reply(self.ids, tuple(self.transcript[self.start :]), sampling, seed)
        else:
            reply = _as_given(given, self.ids, chat.answer_ids(given.text) if chat else ())
        self.last = replace(reply, text=as_text(reply.text))
        self.transcript.append({"role": "assistant", "content": self.last.text})
        return self.last

    def unanswered(self) -> Reply:
        """What stands in the record for a reply that the engine could not give."""
        self.transcript.append({"role": "assistant", "content": ""})
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
