"""One reply while the hf engine makes it, token by token."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scorebench.api.errors import EngineError
from scorebench.api.types import Reply, Sampling
from scorebench.engines.stops import cut_at_stop, may_stop


@dataclass(eq=False)
class Row:
    """A prompt and the tokens sampled so far.

    ids: prompt and sampled tokens; the keys and values of the first `cached` of them are in the cache.
    prompt: length of the prompt. reused: tokens of it that were in the cache when it came.
    uniform: the draws, one for each token that may be sampled.
    long: whether the cache was computed with the frequencies for long sequences (see rope.py).
    """

    ids: list[int]
    prompt: int
    sampling: Sampling
    uniform: np.ndarray
    future: asyncio.Future[Reply]
    cached: int = 0
    reused: int = 0
    long: bool = False
    logprobs: list[float] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Tokens to be computed before the next step; a step feeds the last token itself."""
        return len(self.ids) - 1 - self.cached

    def add(self, token: int, logprob: float) -> None:
        self.cached += 1
        self.ids.append(token)
        self.logprobs.append(logprob)

    def continues(self, kept: Row, long: bool) -> bool:
        """Whether this prompt begins with what another row, which is done, has in the cache."""
        begins = self.ids[: kept.cached] == kept.ids[: kept.cached]
        return kept.future.done() and kept.cached > 0 and kept.long == long and begins

    def finished(self, tokenizer: Any, ends: Collection[int]) -> Reply | None:
        """The reply if it is complete; raises EngineError where the model's logits were no numbers.

        A reply that a stop string ended is kept, here and in the cache, without the stop string, so that the next turn
        does not show it to the model.
        """
        if math.isnan(self.logprobs[-1]):
            raise EngineError(
                "the model's logits are not numbers (NaN): damaged weights, or a --dtype with too small a range"
            )
        sampled = self.ids[self.prompt :]
        stop = self.sampling.stop
        if stop and may_stop(tokenizer, sampled, stop) and (cut := cut_at_stop(tokenizer, sampled, stop)):
            self.cached = min(self.cached, self.prompt + cut.whole)
            self.ids = [*self.ids[: self.prompt], *cut.ids]
            logprobs = self.logprobs[: cut.whole] if cut.whole == len(cut.ids) else []
            return self._reply(cut.text, cut.ids, logprobs, "stop", len(sampled))
        ended = sampled[-1] in ends
        if not ended and len(sampled) < len(self.uniform):
            return None
        text = tokenizer.decode(sampled, skip_special_tokens=True)
        return self._reply(text, tuple(sampled), self.logprobs, "stop" if ended else "length", len(sampled))

    def _reply(self, text: str, ids: tuple[int, ...], logprobs: list[float], reason: Any, tokens: int) -> Reply:
        return Reply(
            text=text,
            token_ids=ids,
            logprobs=tuple(logprobs),
            finish_reason=reason,
            prompt_ids=tuple(self.ids[: self.prompt]),
            tokens=tokens,
            prompt_tokens=self.prompt,
            computed_tokens=self.prompt - self.reused,
        )
