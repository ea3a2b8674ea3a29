"""The key-value cache of the hf engine: one row a dialogue, written in place, kept between turns.

transformers' own caches grow or pad a whole batch together. Here every row has its own length, the place of a
finished row is taken at once, and a row stays while its dialogue waits for the next turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

from scorebench.engines.hf import masks


class _SlotLayer(CacheLayerMixin):
    """Keys and values of one layer, [slots, heads, length, head_dim]; SlotCache.aim says what is read and written."""

    is_sliding = False

    def __init__(self, cache: SlotCache) -> None:
        super().__init__()
        self.cache = cache

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        length = self.cache.length
        _, heads, _, dim = key_states.shape
        self.keys = key_states.new_zeros(self.cache.slots, heads, length, dim)
        self.values = value_states.new_zeros(self.cache.slots, value_states.shape[1], length, value_states.shape[-1])
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None  # for the type checker
        assert self.values is not None
        cache = self.cache
        # Advanced indices around a slice put the slice last: [rows, tokens, heads, dim].
        self.keys[cache.rows_B1, :, cache.positions_BT] = key_states.transpose(1, 2)
        self.values[cache.rows_B1, :, cache.positions_BT] = value_states.transpose(1, 2)
        return self.keys[cache.window], self.values[cache.window]

    def grow(self, length: int) -> None:
        if self.is_initialized and self.keys is not None and self.values is not None:
            more = (0, 0, 0, length - self.keys.shape[2])
            self.keys = torch.nn.functional.pad(self.keys, more)
            self.values = torch.nn.functional.pad(self.values, more)

    def get_seq_length(self) -> int:
        return 0

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.cache.read, 0

    def get_max_length(self) -> int:
        return self.cache.length


class SlotCache(Cache):
    """A cache of `slots` rows by `length` tokens; length doubles when a row needs more. Layers are made when used."""

    def __init__(self, slots: int, length: int, device: torch.device) -> None:
        masks.install()
        self.slots = slots
        self.length = length
        self.read = 0
        self.device = device
        super().__init__(layer_class_to_replicate=partial(_SlotLayer, self))  # type: ignore[arg-type]

    def aim(self, first: int, last: int, positions_BT: torch.Tensor, read: int) -> None:
        """Points the next forward pass at rows first..last-1: it writes at positions_BT and reads `read` tokens.

        A query looks at its own position and at those before it, as far as its layer's mask allows (masks.py). What
        stands in a row behind the row's length is written anew before anything looks at it.
        """
        if read > self.length:
            self.length = max(read, 2 * self.length)
            for layer in self._layers():
                layer.grow(self.length)
        self.read = read
        self.rows_B1 = torch.arange(first, last, device=self.device)[:, None]
        self.positions_BT = positions_BT
        self.window = (slice(first, last), slice(None), slice(0, read))

    def get_mask_sizes(self, query_length: int, layer_idx: int) -> tuple[int, int]:
        return self.read, 0

    def get_query_offset(self, layer_idx: int = 0) -> Any:
        return self.positions_BT

    def swap(self, a: int, b: int, length: int) -> None:
        """Exchanges the first `length` tokens of two rows, so that the rows in use stay side by side."""
        if a == b:
            return
        for store in self._tensors():
            kept = store[a, :, :length].clone()
            store[a, :, :length] = store[b, :, :length]
            store[b, :, :length] = kept

    def copy(self, source: int, target: int, length: int) -> None:
        """Copies the first `length` tokens of one row into another."""
        for store in self._tensors():
            store[target, :, :length] = store[source, :, :length]

    def _layers(self) -> list[_SlotLayer]:
        return [layer for layer in self.layers if isinstance(layer, _SlotLayer)]

    def _tensors(self) -> Iterator[torch.Tensor]:
        for layer in self._layers():
            if layer.keys is not None and layer.values is not None:
                yield layer.keys
                yield layer.values
