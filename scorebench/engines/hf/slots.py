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

_FIRST_ROWS, _FIRST_LENGTH = 16, 256  # what a cache begins with


class _SlotLayer(CacheLayerMixin):
    """Keys and values of one layer, [rows, heads, length, head_dim]; SlotCache.aim says what is read and written."""

    is_sliding = False

    def __init__(self, cache: SlotCache) -> None:
        super().__init__()
        self.cache = cache

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        self.keys = self._widened(key_states[:0])
        self.values = self._widened(value_states[:0])
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

    def grow(self) -> None:
        """Makes room for the rows and the length that the cache has now."""
        if self.is_initialized and self.keys is not None and self.values is not None:
            self.keys = self._widened(self.keys)
            self.values = self._widened(self.values)

    def _widened(self, store: torch.Tensor) -> torch.Tensor:
        rows, heads, length, dim = store.shape
        wide = store.new_zeros(self.cache.rows, heads, self.cache.length, dim)
        if rows:
            wide[:rows, :, :length] = store
        return wide

    def get_seq_length(self) -> int:
        return 0

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.cache.read, 0

    def get_max_length(self) -> int:
        return self.cache.length


class SlotCache(Cache):
    """A cache of at most `slots` rows. What it has of rows, and their length, doubles when more is needed.

    Layers are made when they are used.
    """

    def __init__(self, slots: int, device: torch.device) -> None:
        masks.install()
        self.slots = slots
        self.rows, self.length = min(slots, _FIRST_ROWS), _FIRST_LENGTH
        self.read = 0
        self.device = device
        super().__init__(layer_class_to_replicate=partial(_SlotLayer, self))  # type: ignore[arg-type]

    def aim(self, first: int, last: int, positions_BT: torch.Tensor, read: int) -> None:
        """Points the next forward pass at rows first..last-1: it writes at positions_BT and reads `read` tokens.

        A query looks at its own position and at those before it, as far as its layer's mask allows (masks.py). What
        stands in a row behind the row's length is written anew before anything looks at it.
        """
        self._hold(last, read)
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
        if a == b or not length:
            return
        self._hold(max(a, b) + 1, length)
        for store in self._tensors():
            kept = store[a, :, :length].clone()
            store[a, :, :length] = store[b, :, :length]
            store[b, :, :length] = kept

    def copy(self, source: int, target: int, length: int) -> None:
        """Copies the first `length` tokens of one row into another."""
        self._hold(max(source, target) + 1, length)
        for store in self._tensors():
            store[target, :, :length] = store[source, :, :length]

    def _hold(self, rows: int, length: int) -> None:
        """Has at least so many rows of at least this length."""
        if rows <= self.rows and length <= self.length:
            return
        if rows > self.rows:
            self.rows = min(self.slots, max(rows, 2 * self.rows))
        if length > self.length:
            self.length = max(length, 2 * self.length)
        for layer in self._layers():
            layer.grow()

    def _layers(self) -> list[_SlotLayer]:
        return [layer for layer in self.layers if isinstance(layer, _SlotLayer)]

    def _tensors(self) -> Iterator[torch.Tensor]:
        for layer in self._layers():
            if layer.keys is not None and layer.values is not None:
                yield layer.keys
                yield layer.values
