"""The openai engine: any endpoint that speaks OpenAI's chat completions, a vendor's or a server of one's own.

temperature, top_p, max_tokens, seed and stop strings are always sent, so that no default of the endpoint stands in for
them. Not covered: top-k and the repetition penalty, which the protocol does not have; token ids and log-probabilities.
A reasoning model's hidden tokens are counted and paid for, but they are no part of the reply and of the next turn. How
a conversation becomes a prompt, and whether a seed is honoured, is the endpoint's affair.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import openai

from scorebench.api.errors import EngineError, PromptTooLongError, UserError
from scorebench.api.protocols import ModelSpec
from scorebench.api.types import Message, Reply, Sampling
from scorebench.engines.remote.answers import Answer, HTTPError, NotWholeError, answer_in, body_of, bound_error
from scorebench.engines.remote.endpoint import (
    OnlyStreamsError,
    Options,
    ParameterError,
    TooLongError,
    TransientError,
    address_and_key,
    meaning,
    place,
)

_AT_ONCE = 32  # requests, where --batch-size says nothing
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds between tries
_SEED_BITS = 31  # as many as every server takes


class OpenAIEngine:
    """Asks one model of one endpoint, with at most `places` requests open at a time.

    A dialogue that waits for another try holds no place, and twice as many dialogues as places are open: so a few that
    are turned away delay no others. While the endpoint answers nobody, a request gets one try only, so that a run
    against a dead endpoint ends.

    account: requests, tokens and dollars so far, as the endpoint reports them.
    """

    name = "openai"
    chat = None

    def __init__(
        self,
        model: str,
        options: Options,
        places: int,
        system_prompt: str | None = None,
        context: int | None = None,
        template_args: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.options = options
        self.url, self._key = address_and_key(options)
        self.where = place(self.url)
        self.places = places
        self.at_once = 2 * places
        self.account = dict.fromkeys(
            ("requests", "prompt_tokens", "cached_tokens", "completion_tokens", "dollars"), 0.0
        )
        self._head: tuple[Message, ...] = ({"role": "system", "content": system_prompt},) if system_prompt else ()
        self._template_args = dict(template_args or {})
        self._context = context
        self._omit = set(options.omit)
        self._bound = "max_tokens"
        self._streams = False
        self._said: set[str] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def _start(self) -> None:
        """Connections belong to an event loop, and every run has its own."""
        if self._loop is asyncio.get_running_loop():
            return
        self._loop = asyncio.get_running_loop()
        self._free = asyncio.Semaphore(self.places)
        # Its own retries are off: they know neither wrong JSON nor a limit in time. The HTTP client is named because
        # the one that is taken otherwise, when it is let go of, closes its connections in a loop that is no more.
        self._client = openai.AsyncOpenAI(
            base_url=self.url,
            api_key=self._key,
            max_retries=0,
            timeout=self.options.timeout,
            default_headers={"Accept-Encoding": "identity"},  # what is not compressed cannot unfold in memory
            http_client=openai.DefaultAsyncHttpxClient(event_hooks={"response": [bound_error]}),
        )
        self._answers = True
        self._answered = self._complained = -1e9  # when, on the monotonic clock

    async def reply(
        self, prompt_ids: tuple[int, ...], messages: tuple[Message, ...], sampling: Sampling, seed: int
    ) -> Reply:
        if sampling.top_k or sampling.repetition_penalty != 1:
            raise UserError(
                "The openai engine sends no --top-k and no --repetition-penalty, because endpoints differ in whether "
                "they take them; where yours does, put it into body in --config."
            )
        self._start()
        tries, failing_since = 0, 0.0
        while True:
            try:
                async with self._free:
                    reply = await self._within_context(messages, sampling, seed)
                self._answers, self._answered = True, time.monotonic()
                return reply
            except TransientError as fault:
                now = time.monotonic()
                failing_since = failing_since or now
                # Every client was turned away at the same moment; they are not to come back at the same moment.
                pause = fault.wait + min(_FIRST_PAUSE * 2**tries, _LONGEST_PAUSE) * random.uniform(0.5, 1)
                tries += 1
                if not self._answers or now + pause > failing_since + self.options.patience:
                    self._answers = self._answered >= failing_since
                    raise EngineError(f"{fault}; tries: {tries}") from fault
                self._complain(fault)
                await asyncio.sleep(pause)

    async def _within_context(self, messages: tuple[Message, ...], sampling: Sampling, seed: int) -> Reply:
        """A reply that is as long as the context allows: where the whole bound does not fit, it is shortened."""
        bound = sampling.max_tokens
        try:
            answer = await self._ask(messages, sampling, seed, bound)
        except TooLongError as fault:
            room = await self._room(fault, messages, sampling, seed)
            if room <= 0 or (answer := await self._shortened(messages, sampling, seed, room)) is None:
                return self._beyond_context(messages, fault)
        if (
            self._context and answer.prompt >= self._context
        ):  # the endpoint has cut the prompt, or knows another context
            return self._beyond_context(messages, TooLongError(f"{answer.prompt:,} prompt tokens"))
        return Reply(
            text=answer.text,
            finish_reason="length" if answer.cut else "stop",
            tokens=answer.sampled,
            prompt_tokens=answer.prompt,
            computed_tokens=answer.prompt - answer.cached,
        )

    async def _room(self, fault: TooLongError, messages: tuple[Message, ...], sampling: Sampling, seed: int) -> int:
        """How many tokens a reply can have: as the endpoint says it, else from a request for a single token."""
        context, prompt = self._context or fault.context, fault.prompt
        if context and not prompt:
            try:
                prompt = (await self._ask(messages, sampling, seed, 1)).prompt
            except TooLongError:
                return 0
        return min(context - prompt, sampling.max_tokens - 1) if context and prompt else sampling.max_tokens // 2

    async def _shortened(
        self, messages: tuple[Message, ...], sampling: Sampling, seed: int, room: int
    ) -> Answer | None:
        """The answer with the longest bound that fits, from `room` down; None where the prompt alone is too long."""
        while room:
            try:
                answer = await self._ask(messages, sampling, seed, room)
                self._say(
                    f"The context of {self.model} is too short for --max-tokens {sampling.max_tokens}: "
                    f"replies are shortened, the first one to {room:,} tokens."
                )
                return answer
            except TooLongError:
                room //= 2
        return None

    def _beyond_context(self, messages: tuple[Message, ...], fault: TooLongError) -> Reply:
        """As a local engine has it: what earlier replies made too long is cut off, else it is an error of its own."""
        if any(message["role"] == "assistant" for message in messages):
            return Reply("", finish_reason="length")
        raise PromptTooLongError(f"the prompt alone is longer than the context of {self.model} ({fault})")

    async def _ask(self, messages: tuple[Message, ...], sampling: Sampling, seed: int, bound: int) -> Answer:
        """One answer. A parameter that the endpoint refuses is left out, where this changes nothing."""
        while True:
            request = self._request(messages, sampling, seed, bound)
            try:
                return await self._once(request, bound)
            except OnlyStreamsError as fault:
                if "stream" in request:
                    raise EngineError(f"{self.where} refused the request ({fault})") from fault
                self._streams = True
            except ParameterError as fault:
                self._leave_out(fault, sampling, request)

    def _request(self, messages: tuple[Message, ...], sampling: Sampling, seed: int, bound: int) -> dict[str, Any]:
        request: dict[str, Any] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": seed % 2**_SEED_BITS,
            "stop": list(sampling.stop),
        }
        kept = {name: value for name, value in request.items() if name not in self._omit and value != []}
        streams = {"stream": True, "stream_options": {"include_usage": True}} if self._streams else {}
        return {"model": self.model, "messages": [*self._head, *messages], self._bound: bound, **kept, **streams}

    async def _once(self, request: dict[str, Any], bound: int) -> Answer:
        self.account["requests"] += 1
        body = {**self.options.body}
        if self._template_args:
            body["chat_template_kwargs"] = self._template_args
        try:
            async with asyncio.timeout(self.options.timeout):
                create = self._client.chat.completions.with_streaming_response.create
                async with create(**request, extra_body=body) as response:
                    answer = answer_in(await body_of(response.iter_bytes(), bound, self.where), bound, self.where)
        except (openai.OpenAIError, TimeoutError, NotWholeError, OSError, HTTPError) as fault:
            raise meaning(fault, self.model, self.where) from fault
        self._count(answer)
        return answer

    def _leave_out(self, fault: ParameterError, sampling: Sampling, request: dict[str, Any]) -> None:
        """Remembers a parameter that is refused, if the reply is of the same distribution without it."""
        name = fault.name
        if name not in request:
            raise EngineError(str(fault)) from fault
        if name == "max_tokens":
            self._bound = "max_completion_tokens"
        elif name == "seed" or (name in ("temperature", "top_p") and getattr(sampling, name) == 1):
            self._omit.add(name)
            self._say(f"{fault}; it is left out from now on.")
        else:
            hint = (
                f", or leave it out with --model-args omit={name}" if name in ("temperature", "top_p", "stop") else ""
            )
            raise UserError(f"{fault}; change the flag{hint}.") from fault

    def _count(self, answer: Answer) -> None:
        self.account["prompt_tokens"] += answer.prompt
        self.account["cached_tokens"] += answer.cached
        self.account["completion_tokens"] += answer.sampled
        self.account["dollars"] += self.options.dollars(answer.prompt, answer.cached, answer.sampled)

    def _say(self, line: str) -> None:
        """Says something once."""
        if line[:40] not in self._said:
            self._said.add(line[:40])
            print(line, file=sys.stderr, flush=True)

    def _complain(self, fault: TransientError) -> None:
        """Says now and then why nothing seems to happen."""
        if time.monotonic() - self._complained > _LONGEST_PAUSE:
            self._complained = time.monotonic()
            print(f"{fault}; trying again for {self.options.patience:.0f} s", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class _Opener:
    """`--engine openai`. The model has no weights here: its name and the place that serves it have to identify it."""

    options: type[Options] = Options

    def __call__(self, spec: ModelSpec) -> OpenAIEngine:
        places = spec.batch_size or _AT_ONCE
        own = (spec.system_prompt, spec.context_length, spec.template_args)
        return OpenAIEngine(spec.path, spec.options or Options(), places, *own)

    def identify(self, spec: ModelSpec) -> Mapping[str, Any]:
        options: Options = spec.options or Options()
        url, _ = address_and_key(options)
        asked = {"omit": list(options.omit), "context": spec.context_length, "template_args": dict(spec.template_args)}
        given = {name: value for name, value in asked.items() if value}
        return {"name": spec.path, "endpoint": place(url), "body": options.body, **given}


open_engine = _Opener()
