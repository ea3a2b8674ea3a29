"""A model together with the cache in which the hf engine keeps its dialogues, and the check that the two agree."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from scorebench.api.errors import UserError
from scorebench.engines.hf.slots import SlotCache
from scorebench.engines.logits import contiguous_states

# How far log-probabilities with the cache may be from those without, in nats, as the mean over the vocabulary.
_LIMIT_FLOAT32, _LIMIT_HALF = 1e-2, 0.25
_LINEAR = {"linear_attention", "mamba", "mamba2", "recurrent", "conv", "rwkv"}


class CachedModel:
    """Runs ids through a model, with keys and values in rows of a SlotCache."""

    def __init__(self, model: Any, slots: int) -> None:
        self.model = model
        self._takes = set(inspect.signature(model.forward).parameters)
        self.forget(slots)

    def forget(self, slots: int) -> None:
        """An empty cache of so many rows."""
        self.cache = SlotCache(slots, self.model.device)

    def forward(self, first: int, ids_BT: list[list[int]], starts_B: list[int], lengths_B: list[int]) -> torch.Tensor:
        """Runs ids in cache rows first, first+1, ..., from positions starts_B on; the last position's logits_BV.

        lengths_B: how long each row is then. Padding stands at the row's last position, which the decoding step writes
        anew: so no position is beyond the row's own length, whatever stands beside it.
        """
        device = self.model.device
        starts_B1 = torch.tensor(starts_B, device=device)[:, None]
        last_B1 = torch.tensor(lengths_B, device=device)[:, None] - 1
        positions_BT = torch.minimum(starts_B1 + torch.arange(len(ids_BT[0]), device=device), last_B1)
        read = max(lengths_B)
        self.cache.aim(first, first + len(ids_BT), positions_BT, read)
        given = {
            "position_ids": positions_BT,
            "attention_mask": torch.ones(len(ids_BT), read, dtype=torch.long, device=device),
            "logits_to_keep": 1,
        }
        with contiguous_states(self.model):
            out = self.model(
                input_ids=torch.tensor(ids_BT, device=device),
                past_key_values=self.cache,
                use_cache=True,
                **{name: value for name, value in given.items() if name in self._takes},
            )
        return out.logits[:, -1]


def check_playable(model: Any) -> None:
    """Raises UserError, in one sentence, where the engine's cache would change what the model says.

    Two short prompts of different lengths go through the cache in one batch, as a prefill and a decoding step, and
    through the model alone, without any cache.
    """
    name = type(model).__name__
    kinds = set(getattr(model.config.get_text_config(decoder=True), "layer_types", None) or ())
    if kinds & _LINEAR:
        raise UserError(
            f"The hf engine cannot play {name}: its layers keep a recurrent state ({', '.join(sorted(kinds))}), and "
            "its cache holds keys and values only; take --engine vllm."
        )
    try:
        with torch.inference_mode():
            cached, alone = _both_ways(model)
    except torch.OutOfMemoryError:
        raise UserError(f"There is no memory for a single short prompt of {name}; use a smaller --dtype.") from None
    except Exception as fault:  # whatever an architecture raises that cannot work with this cache
        reason = " ".join(str(fault).split())[:150]
        raise UserError(
            f"The hf engine cannot play {name}: its forward pass does not work with the engine's cache "
            f"({type(fault).__name__}: {reason}); take --engine vllm."
        ) from fault
    if not alone.isfinite().any(-1).all():
        raise UserError(
            f"{name} computes no numbers (NaN): its weights are damaged, or --dtype has too small a range; "
            "take --dtype float32, or get the weights anew."
        )
    gap = (cached - alone).abs().nan_to_num(nan=0.0, posinf=0.0).mean(-1).max().item()
    if cached.isnan().any() or gap > (_LIMIT_FLOAT32 if model.dtype == torch.float32 else _LIMIT_HALF):
        raise UserError(
            f"The hf engine cannot play {name}: with the engine's cache it computes other probabilities than alone "
            f"(log-probabilities differ by {gap:.2g} on average); take --engine vllm."
        )


def _both_ways(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities after the last two tokens of two prompts, with the cache and without: two [4, vocabulary]."""
    prompts = [_some_ids(model, 19), _some_ids(model, 7)]
    cached = CachedModel(model, slots=3)
    starts, lengths = [0, 0], [len(p) for p in prompts]
    padded = [p[:-2] + [0] * (17 - len(p[:-2])) for p in prompts]
    cached.forward(1, padded, starts, [n - 1 for n in lengths])
    before = cached.forward(1, [p[-2:-1] for p in prompts], [n - 2 for n in lengths], [n - 1 for n in lengths])
    after = cached.forward(1, [p[-1:] for p in prompts], [n - 1 for n in lengths], lengths)
    alone = [model(input_ids=torch.tensor([p], device=model.device), use_cache=False).logits[0] for p in prompts]
    plain = torch.stack([logits[at] for at in (-2, -1) for logits in alone])
    return torch.cat([before, after]).float().log_softmax(-1), plain.float().log_softmax(-1)


def _some_ids(model: Any, count: int) -> list[int]:
    """Ids of ordinary tokens: special ones, which stand at the ends of most vocabularies, may change a mask."""
    size = model.config.get_text_config(decoder=True).vocab_size
    return [size // 3 + (7 * i) % max(size // 3, 1) for i in range(count)]
