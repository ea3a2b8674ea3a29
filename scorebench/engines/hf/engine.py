"""The transformers engine: continuous batching in one decoding loop, with turn 1's cache kept for turn 2.

What it covers: causal language models of transformers whose layers keep keys and values (full, sliding-window and
chunked attention). What it does not: layers with a recurrent state, and more than one device; vLLM is there for that.
When the engine opens, it compares the model in its cache with the model alone, and refuses a model that differs.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from scorebench.api.chat import Chat
from scorebench.api.errors import EngineError, UserError
from scorebench.api.types import Message, Reply, Sampling
from scorebench.engines.context import beyond_context, context_of
from scorebench.engines.hf.cached import CachedModel, check_playable
from scorebench.engines.hf.rope import long_from
from scorebench.engines.hf.rows import Row
from scorebench.engines.hf.sampling import draw, uniforms
from scorebench.engines.loading import end_ids

_PREFILL_TOKENS = 8192  # prompt tokens in one forward pass, padding included: bounds the memory of a prefill


class HFEngine:
    """Continues conversations with one transformers model, at most `slots` at a time.

    A step computes one token for every row. Rows 0..live-1 of the cache are at work. Behind them are parked the rows of
    dialogues that may go on, until their place is needed. A prompt's last token is fed by the decoding step, so one
    code path samples every token.

    context: the longest sequence, prompt and reply together; the model's own limit, or a shorter one.
    Raises UserError where the model cannot be played.
    """

    name = "hf"

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        slots: int,
        system_prompt: str | None = None,
        template_args: Mapping[str, Any] | None = None,
        context: int | None = None,
    ) -> None:
        check_playable(model)
        self.model = model
        self.tokenizer = tokenizer
        self.ends = end_ids(model.generation_config, tokenizer)
        self.chat = Chat(tokenizer, system_prompt, template_args, self.ends)
        self.slots = slots
        self.at_once = 2 * slots
        config = model.config.get_text_config(decoder=True)
        self.context = min(context or 1 << 30, context_of(config) or 1 << 30)
        self._long_from = long_from(config)
        self.computed_tokens = 0  # prompt tokens that went through the model
        self._unanswered: dict[Row, None] = {}  # in the order in which they came
        self._waiting: deque[Row] = deque()
        self._going_on: deque[Row] = deque()
        self._rows: list[Row | None] = []
        self._live = 0
        self._pump: asyncio.Task[None] | None = None
        self._cached = CachedModel(model, slots)
        self.forget()

    def forget(self) -> None:
        """Drops every kept row. The cache alone depends on the weights, so nothing of the old weights is left."""
        self._rows = [None] * self.slots
        self._live = 0
        self._cached.forget(self.slots)

    async def push(self, policy: Any) -> None:
        """Plays with this model's weights as they are now; between dialogues only."""
        self.model = policy
        self._cached = CachedModel(policy, self.slots)
        self.forget()

    async def reply(
        self, prompt_ids: tuple[int, ...], messages: tuple[Message, ...], sampling: Sampling, seed: int
    ) -> Reply:
        room = min(sampling.max_tokens, self.context - len(prompt_ids))
        if room <= 0:
            return beyond_context(prompt_ids, messages, self.context)
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        row = Row(list(prompt_ids), len(prompt_ids), sampling, uniforms(seed, room), future)
        self._unanswered[row] = None
        (self._going_on if self._claim(row) else self._waiting).append(row)
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._run())
        return await future

    def _claim(self, row: Row) -> bool:
        """Takes over the parked row that holds the beginning of this prompt, if there is one."""
        for at in range(self._live, self.slots):
            kept = self._rows[at]
            if kept and row.continues(kept, self._is_long(row)):
                row.cached = row.reused = min(kept.cached, len(row.ids) - 1)
                row.long = kept.long
                self._rows[at] = row
                return True
        return False

    def _is_long(self, row: Row) -> bool:
        return self._long_from is not None and len(row.ids) > self._long_from

    async def _run(self) -> None:
        """Steps until nothing waits and nothing is live, giving way to the dialogues after every step."""
        try:
            while self._waiting or self._going_on or self._live:
                with torch.inference_mode():
                    try:
                        self._admit()
                        self._step()
                    except RuntimeError as fault:
                        if not _is_memory(fault):
                            raise
                        self._halve()
                    self._retire()
                await asyncio.sleep(0)
        except BaseException as fault:  # whoever waits must hear of it
            for row in self._unanswered:
                if not row.future.done():
                    row.future.set_exception(fault)
            self._unanswered.clear()
            self._waiting.clear()
            self._going_on.clear()
            self.forget()

    def _admit(self) -> None:
        """Gives places to what waits: dialogues that go on first, then new ones, each distinct prompt computed once."""
        going_on = sorted(self._going_on, key=self._order)
        self._going_on.clear()
        free = self.slots - self._live - len(going_on)
        new = [self._waiting.popleft() for _ in range(min(free, len(self._waiting)))]
        firsts = {tuple(row.ids): row for row in reversed(new)}
        twins = [row for row in new if firsts[tuple(row.ids)] is not row]
        to_compute = [*going_on, *sorted(firsts.values(), key=self._order)]
        for row in [*to_compute, *twins]:
            self._place(row)
        self._prefill(to_compute)
        for row in twins:
            source = firsts[tuple(row.ids)]
            row.cached = row.reused = source.cached
            row.long = source.long
            self._cached.cache.copy(self._rows.index(source), self._rows.index(row), row.cached)

    def _order(self, row: Row) -> tuple[bool, int]:
        return self._is_long(row), row.width

    def _place(self, row: Row) -> None:
        """Makes `row` the last live one: where it is parked, else in an empty place or that of the longest parked."""
        behind = range(self._live, self.slots)
        if row.cached:
            at = self._rows.index(row, self._live)
        else:
            at = next((i for i in behind if self._rows[i] is None), self.slots - 1)
        self._exchange(at, self._live)
        self._rows[self._live] = row
        self._live += 1

    def _exchange(self, a: int, b: int) -> None:
        held = [row.cached for row in (self._rows[a], self._rows[b]) if row]
        self._cached.cache.swap(a, b, max(held, default=0))
        self._rows[a], self._rows[b] = self._rows[b], self._rows[a]

    def _prefill(self, rows: list[Row]) -> None:
        """Computes the prompts of rows that stand side by side, but for each prompt's last token."""
        while rows:
            count, long = 1, self._is_long(rows[0])
            while (
                count < len(rows)
                and (count + 1) * rows[count].width <= _PREFILL_TOKENS
                and self._is_long(rows[count]) == long
            ):
                count += 1
            group, rows = rows[:count], rows[count:]
            width = max(row.width for row in group)
            if width:
                width += long  # so that the last position, which makes the sequence a long one, is among them
                padded = [row.ids[row.cached : -1] + [0] * (width - row.width) for row in group]
                first = self._rows.index(group[0])
                self._cached.forward(first, padded, [row.cached for row in group], [len(row.ids) for row in group])
            for row in group:
                self.computed_tokens += row.width
                row.cached, row.long = len(row.ids) - 1, long

    def _step(self) -> None:
        """One token for every live row."""
        rows = [row for row in self._rows[: self._live] if row]
        if not rows:
            return
        for row in rows:
            if row.long != self._is_long(row):  # it has just grown beyond the length at which its positions change
                row.cached = 0
                self._prefill([row])
        logits_BV = self._next_logits(rows)
        uniform = [row.uniform[len(row.ids) - row.prompt] for row in rows]
        uniform_B = torch.tensor(np.array(uniform), dtype=torch.float32, device=logits_BV.device)
        chosen_B, logp_B = draw(logits_BV, [row.sampling for row in rows], uniform_B, [row.ids for row in rows])
        for row, token, logp in zip(rows, chosen_B.tolist(), logp_B.tolist(), strict=True):
            row.add(token, logp)

    def _next_logits(self, rows: list[Row]) -> torch.Tensor:
        """The logits after each live row, computed in runs of rows whose positions mean the same."""
        parts, start = [], 0
        while start < len(rows):
            end = start + 1
            while end < len(rows) and rows[end].long == rows[start].long:
                end += 1
            run = rows[start:end]
            lengths = [len(row.ids) for row in run]
            parts.append(self._cached.forward(start, [row.ids[-1:] for row in run], [n - 1 for n in lengths], lengths))
            start = end
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def _retire(self) -> None:
        """Answers for the rows that are done, and parks them behind the live ones."""
        for at in reversed(range(self._live)):
            row = self._rows[at]
            if row is None or not row.logprobs:
                continue
            answer: Reply | EngineError | None
            try:
                answer = row.finished(self.tokenizer, self.ends)
            except EngineError as fault:
                answer = fault
            if answer is not None:
                self._live -= 1
                self._exchange(at, self._live)
                self._answer(row, answer)

    def _answer(self, row: Row, answer: Reply | EngineError) -> None:
        self._unanswered.pop(row, None)
        if row.future.done():  # it may have been cancelled
            return
        if isinstance(answer, EngineError):
            row.future.set_exception(answer)
        else:
            row.future.set_result(answer)

    def _halve(self) -> None:
        """Memory ran out: half as many places. All that is unanswered waits, and goes on from the tokens it has."""
        if self.slots == 1:
            raise UserError("Memory ran out on a single dialogue; lower --max-tokens or use a smaller --dtype.")
        for row in self._unanswered:
            row.cached = row.reused = 0
        self._waiting = deque(row for row in self._unanswered if not row.future.done())
        self._going_on.clear()
        self.slots //= 2
        self.forget()


def _is_memory(fault: RuntimeError) -> bool:
    """Whether memory ran out: of an accelerator, or, which torch says in words only, of a CPU."""
    return isinstance(fault, torch.OutOfMemoryError) or "can't allocate memory" in str(fault)
