"""The transformers engine: continuous batching in one decoding loop, with turn 1's cache kept for turn 2.

What it covers: any causal language model of transformers with ordinary or sliding-window attention. What it does not:
models with recurrent state, and more than one device (vLLM is there for that).
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from scorebench.api.chat import Chat
from scorebench.api.errors import UserError
from scorebench.api.protocols import ModelSpec
from scorebench.api.types import Message, Reply, Sampling
from scorebench.engines.loading import end_ids, load_model, load_tokenizer
from scorebench.engines.sampling import draw, uniforms
from scorebench.engines.slots import SlotCache

_PREFILL_TOKENS = 8192  # prompt tokens in one forward pass, padding included: bounds the memory of a prefill


@dataclass(eq=False)
class _Row:
    """One reply in the making. ids: prompt and sampled tokens; the first `cached` of them stand in the cache."""

    ids: list[int]
    prompt: int
    sampling: Sampling
    uniform: np.ndarray
    future: asyncio.Future[Reply]
    cached: int = 0
    reused: int = 0
    logprobs: list[float] = field(default_factory=list)


class HFEngine:
    """Continues conversations with one transformers model, at most `slots` at a time.

    A step computes one token for every row. Rows 0..live-1 of the cache are at work; behind them are parked the rows of
    dialogues that may go on, until their place is needed. A prompt's last token is fed by the decoding step, so one
    code path samples every token.
    """

    name = "hf"

    def __init__(self, model: Any, tokenizer: Any, slots: int, system_prompt: str | None = None) -> None:
        kinds = set(getattr(model.config, "layer_types", None) or ["full_attention"])
        if not kinds <= {"full_attention", "sliding_attention"}:
            raise UserError(
                f"The hf engine has no cache for layers of kind {', '.join(sorted(kinds))}; use --engine vllm."
            )
        self.model = model
        self.tokenizer = tokenizer
        self.chat = Chat(tokenizer, system_prompt)
        self.slots = slots
        self.at_once = 2 * slots
        self.context = getattr(model.config, "max_position_embeddings", None) or 1 << 30
        self.window = model.config.sliding_window if "sliding_attention" in kinds else None
        self.ends = end_ids(model.generation_config, tokenizer)
        self.computed_tokens = 0  # prompt tokens that went through the model
        self._waiting: deque[_Row] = deque()
        self._going_on: deque[_Row] = deque()
        self._rows: list[_Row | None] = []
        self._live = 0
        self._pump: asyncio.Task[None] | None = None
        self.forget()

    def forget(self) -> None:
        """Drops every kept row: nothing else remembers the weights that it was computed with."""
        self._rows = [None] * self.slots
        self._live = 0
        self._cache = SlotCache(self.model.config.num_hidden_layers, self.slots, 256, self.model.device)

    async def push(self, policy: Any) -> None:
        """Plays with this model's weights as they are now; between dialogues only."""
        self.model = policy
        self.forget()

    async def reply(
        self, prompt_ids: tuple[int, ...], messages: tuple[Message, ...], sampling: Sampling, seed: int
    ) -> Reply:
        room = min(sampling.max_tokens, self.context - len(prompt_ids))
        if room <= 0:
            return Reply("", finish_reason="length", prompt_ids=prompt_ids, prompt_tokens=len(prompt_ids))
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        row = _Row(list(prompt_ids), len(prompt_ids), sampling, uniforms(seed, room), future)
        (self._going_on if self._claim(row) else self._waiting).append(row)
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._run())
        return await future

    def _claim(self, row: _Row) -> bool:
        """Takes over the parked row that holds the beginning of this prompt, if there is one."""
        for at in range(self._live, self.slots):
            kept = self._rows[at]
            if kept and kept.future.done() and kept.ids[: kept.cached] == row.ids[: kept.cached]:
                row.cached = row.reused = min(kept.cached, len(row.ids) - 1)
                self._rows[at] = row
                return True
        return False

    async def _run(self) -> None:
        """Steps until nothing waits and nothing is live, giving way to the dialogues after every step."""
        try:
            while self._waiting or self._going_on or self._live:
                with torch.inference_mode():
                    try:
                        self._admit()
                        self._step()
                    except torch.OutOfMemoryError:
                        self._halve()
                    self._retire()
                await asyncio.sleep(0)
        except BaseException as fault:  # whoever waits must hear of it
            for row in [*self._waiting, *self._going_on, *self._rows[: self._live]]:
                if row and not row.future.done():
                    row.future.set_exception(fault)
            self._waiting.clear()
            self._going_on.clear()
            self.forget()

    def _admit(self) -> None:
        """Gives places to what waits: dialogues that go on first, then new ones, each distinct prompt computed once."""
        going_on = sorted(self._going_on, key=_width)
        self._going_on.clear()
        free = self.slots - self._live - len(going_on)
        new = [self._waiting.popleft() for _ in range(min(free, len(self._waiting)))]
        firsts = {tuple(row.ids): row for row in reversed(new) if not row.cached}
        twins = [row for row in new if firsts[tuple(row.ids)] is not row]
        to_compute = [*going_on, *sorted(firsts.values(), key=_width)]
        for row in [*to_compute, *twins]:
            self._place(row)
        self._prefill(to_compute)
        for row in twins:
            source = firsts[tuple(row.ids)]
            row.cached = row.reused = source.cached
            self._cache.copy(self._rows.index(source), self._rows.index(row), row.cached)

    def _place(self, row: _Row) -> None:
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
        self._cache.swap(a, b, max(held, default=0))
        self._rows[a], self._rows[b] = self._rows[b], self._rows[a]

    def _prefill(self, rows: list[_Row]) -> None:
        """Computes the prompts of rows that stand side by side, but for each prompt's last token."""
        while rows:
            count = 1
            while count < len(rows) and (count + 1) * _width(rows[count]) <= _PREFILL_TOKENS:
                count += 1
            group, rows = rows[:count], rows[count:]
            width = max(map(_width, group))
            if width:
                padded = [row.ids[row.cached : -1] + [0] * (width - _width(row)) for row in group]
                first = self._rows.index(group[0])
                self._forward(first, padded, [row.cached for row in group])
            for row in group:
                self.computed_tokens += _width(row)
                row.cached = len(row.ids) - 1

    def _forward(self, first: int, ids_BT: list[list[int]], starts_B: list[int]) -> torch.Tensor:
        """Runs ids through the model in cache rows first, first+1, ...; returns the last position's logits_BV."""
        device = self.model.device
        ids = torch.tensor(ids_BT, device=device)
        starts = torch.tensor(starts_B, device=device)
        positions = starts[:, None] + torch.arange(ids.shape[1], device=device)
        mask = self._cache.aim(first, first + len(ids_BT), positions, max(starts_B) + ids.shape[1])
        masks: Any = self._as_attention_wants(mask)
        if self.window:
            near = torch.arange(mask.shape[-1], device=device) > positions[:, None, :, None] - self.window
            masks = {"full_attention": masks, "sliding_attention": self._as_attention_wants(mask & near)}
        out = self.model(
            input_ids=ids,
            position_ids=positions,
            attention_mask=masks,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return out.logits[:, -1]

    def _as_attention_wants(self, mask: torch.Tensor) -> torch.Tensor:
        """SDPA takes booleans; transformers' eager attention adds the mask to its scores."""
        if self.model.config._attn_implementation != "eager":
            return mask
        lowest = torch.finfo(self.model.dtype).min
        return torch.zeros_like(mask, dtype=self.model.dtype).masked_fill(~mask, lowest)

    def _step(self) -> None:
        """One token for every live row."""
        rows = [row for row in self._rows[: self._live] if row]
        if not rows:
            return
        logits_BV = self._forward(0, [row.ids[-1:] for row in rows], [row.cached for row in rows])
        uniform = [row.uniform[len(row.ids) - row.prompt] for row in rows]
        uniform_B = torch.tensor(np.array(uniform), dtype=torch.float32, device=logits_BV.device)
        chosen_B, logp_B = draw(logits_BV, [row.sampling for row in rows], uniform_B)
        for row, token, logp in zip(rows, chosen_B.tolist(), logp_B.tolist(), strict=True):
            row.cached += 1
            row.ids.append(token)
            row.logprobs.append(logp)

    def _retire(self) -> None:
        """Answers for the rows that are done, and parks them behind the live ones."""
        for at in reversed(range(self._live)):
            row = self._rows[at]
            if row and (reply := self._finished(row)):
                self._live -= 1
                self._exchange(at, self._live)
                if not row.future.done():  # it may have been cancelled
                    row.future.set_result(reply)

    def _finished(self, row: _Row) -> Reply | None:
        sampled = row.ids[row.prompt :]
        ended = sampled[-1] in self.ends
        cut = len(sampled) == len(row.uniform)
        text = None
        if row.sampling.stop:
            text, ended = self._cut_at_stop(sampled, row.sampling.stop, ended)
        if not (ended or cut):
            return None
        if text is None:
            text = self.tokenizer.decode(sampled, skip_special_tokens=True)
        return Reply(
            text=text,
            token_ids=tuple(sampled),
            logprobs=tuple(row.logprobs),
            finish_reason="stop" if ended else "length",
            prompt_ids=tuple(row.ids[: row.prompt]),
            tokens=len(sampled),
            prompt_tokens=row.prompt,
            computed_tokens=row.prompt - row.reused,
        )

    def _cut_at_stop(self, sampled: list[int], stop: tuple[str, ...], ended: bool) -> tuple[str | None, bool]:
        """The text before the first stop string if there is one now, and whether the reply is at its end."""
        tail = self.tokenizer.decode(sampled[-4 - max(map(len, stop)) :])  # a token is a character or more
        if not any(word in tail for word in stop):
            return None, ended
        text = self.tokenizer.decode(sampled, skip_special_tokens=True)
        return text[: min(at for word in stop if (at := text.find(word)) >= 0)], True

    def _halve(self) -> None:
        """Memory ran out: half as many places; what was live waits, and goes on from the tokens it has."""
        if self.slots == 1:
            raise UserError("Memory ran out on a single dialogue; lower --max-tokens or use a smaller --dtype.")
        live = [row for row in [*self._rows, *self._going_on] if row and not row.future.done()]
        for row in live:
            row.cached = row.reused = 0
        self._waiting.extendleft(reversed(live))
        self._going_on.clear()
        self.slots //= 2
        self.forget()


def _width(row: _Row) -> int:
    """Tokens of a row that are to be computed before its next step."""
    return len(row.ids) - 1 - row.cached


def open_engine(spec: ModelSpec) -> HFEngine:
    """The engine of `--engine hf`."""
    model = load_model(spec)
    automatic = 256 if model.device.type == "cuda" else 64
    return HFEngine(model, load_tokenizer(spec), spec.batch_size or automatic, spec.system_prompt)
