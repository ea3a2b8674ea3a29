"""The openai engine: any endpoint that speaks OpenAI's chat completions, a vendor's or a server of one's own.

temperature, top_p, max_tokens, seed and stop strings are always sent, so that no default of the endpoint stands in for
them. Not covered: top-k, which the protocol does not have; token ids and log-probabilities; a reasoning model's hidden
tokens, which are counted and paid for but never shown, and are no part of the next turn. How a conversation becomes a
prompt, and whether a seed is honoured, is the endpoint's affair.
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

from scorebench.api.errors import EngineError, UserError
from scorebench.api.protocols import ModelSpec
from scorebench.api.types import Message, Reply, Sampling
from scorebench.engines.endpoint import Options, TooLongError, TransientError, address_and_key, meaning, place
from scorebench.storage.datasets import is_text

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

    def __init__(self, model: str, options: Options, places: int, system_prompt: str | None = None) -> None:
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
        self._bound = "max_tokens"
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
            http_client=openai.DefaultAsyncHttpxClient(),
        )
        self._answers = True
        self._answered = self._complained = -1e9  # when, on the monotonic clock

    async def reply(
        self, prompt_ids: tuple[int, ...], messages: tuple[Message, ...], sampling: Sampling, seed: int
    ) -> Reply:
        if sampling.top_k:
            raise UserError("The openai engine has no top-k, because endpoints differ in whether they take it.")
        self._start()
        tries, failing_since = 0, 0.0
        while True:
            try:
                async with self._free:
                    reply = await self._try(messages, sampling, seed)
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

    async def _try(self, messages: tuple[Message, ...], sampling: Sampling, seed: int) -> Reply:
        request: dict[str, Any] = {
            "model": self.model,
            "messages": [*self._head, *messages],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": seed % 2**_SEED_BITS,
            self._bound: sampling.max_tokens,
        }
        if sampling.stop:
            request["stop"] = list(sampling.stop)
        self.account["requests"] += 1
        try:
            async with asyncio.timeout(self.options.timeout):
                return self._read(await self._client.chat.completions.create(**request, extra_body=self.options.body))
        except (openai.OpenAIError, TimeoutError, ValueError, RecursionError) as fault:
            if "max_tokens" in request and _wants_other_bound(fault):
                self._bound = "max_completion_tokens"
                return await self._try(messages, sampling, seed)
            meant = meaning(fault, self.model, self.where)
            if isinstance(meant, TooLongError):
                return Reply("", finish_reason="length")  # as a local engine says it
            raise meant from fault

    def _read(self, completion: Any) -> Reply:
        """The reply in an answer; the client library does not check that one has the form that it should have."""
        self._count(getattr(completion, "usage", None))
        try:
            choice = completion.choices[0]
            ended, message = choice.finish_reason, choice.message
            text = message.content or getattr(message, "refusal", None) or ""
        except (AttributeError, TypeError, IndexError):
            text = ended = None
        if ended == "content_filter":
            raise EngineError(f"{self.where} withheld the reply (content filter)")
        if not isinstance(text, str) or ended in (None, "error"):
            raise TransientError(f"{self.where} answered without a whole completion")
        prompt, cached, sampled = _usage(getattr(completion, "usage", None))
        return Reply(
            text=text if is_text(text) else text.encode("utf-8", "replace").decode(),
            finish_reason="length" if ended == "length" else "stop",
            tokens=sampled,
            prompt_tokens=prompt,
            computed_tokens=prompt - cached,
        )

    def _count(self, usage: Any) -> None:
        prompt, cached, completion = _usage(usage)
        self.account["prompt_tokens"] += prompt
        self.account["cached_tokens"] += cached
        self.account["completion_tokens"] += completion
        self.account["dollars"] += self.options.dollars(prompt, cached, completion)

    def _complain(self, fault: TransientError) -> None:
        """Says now and then why nothing seems to happen."""
        if time.monotonic() - self._complained > _LONGEST_PAUSE:
            self._complained = time.monotonic()
            print(f"{fault}; trying again for {self.options.patience:.0f} s", file=sys.stderr, flush=True)


def _usage(usage: Any) -> tuple[int, int, int]:
    """Tokens of the prompt, those of them that were cached, and tokens sampled; 0 where nothing is reported."""
    cached = getattr(getattr(usage, "prompt_tokens_details", None), "cached_tokens", None)
    counts = (getattr(usage, "prompt_tokens", None), cached, getattr(usage, "completion_tokens", None))
    prompt, cached, completion = (c if isinstance(c, int) and c > 0 else 0 for c in counts)
    return prompt, min(cached, prompt), completion


def _wants_other_bound(fault: Exception) -> bool:
    """OpenAI's reasoning models call max_tokens max_completion_tokens; older servers know only the first name."""
    return isinstance(fault, openai.BadRequestError) and (
        fault.code == "unsupported_parameter" and "max_completion_tokens" in fault.message
    )


@dataclass(frozen=True)
class _Opener:
    """`--engine openai`. The model has no weights here: its name and the place that serves it have to identify it."""

    options: type[Options] = Options

    def __call__(self, spec: ModelSpec) -> OpenAIEngine:
        return OpenAIEngine(spec.path, spec.options, spec.batch_size or _AT_ONCE, spec.system_prompt)

    def identify(self, spec: ModelSpec) -> Mapping[str, Any]:
        url, _ = address_and_key(spec.options)
        return {"name": spec.path, "endpoint": place(url), "body": spec.options.body}


open_engine = _Opener()
