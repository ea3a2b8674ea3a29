"""Attention masks for a batch whose rows stand at positions of their own.

transformers describes a layer's mask as a function of query position and key position (causal, sliding window,
chunks), but evaluates it for a batch in which all rows stand at the same position. Here the same functions are
evaluated at the positions of each row, so every layer sees what its architecture lets it see.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers.masking_utils import AttentionMaskInterface, eager_mask, sdpa_mask

Mask = Callable[..., Any]


def install() -> None:
    """Registers masks by row for the attention implementations "sdpa" and "eager".

    They serve a cache whose get_query_offset() gives the positions of all queries, positions_BT. For every other
    cache transformers' own masks are made, as before.
    """
    AttentionMaskInterface.register("sdpa", _sdpa)
    AttentionMaskInterface.register("eager", _eager)


def _sdpa(*, q_offset: Any = 0, **rest: Any) -> torch.Tensor | None:
    return _by_row(q_offset, **rest) if _is_by_row(q_offset) else sdpa_mask(q_offset=q_offset, **rest)


def _eager(*, q_offset: Any = 0, **rest: Any) -> torch.Tensor | None:
    """Eager attention adds the mask to its scores: 0, or the lowest number that the dtype has."""
    if not _is_by_row(q_offset):
        return eager_mask(q_offset=q_offset, **rest)
    mask = _by_row(q_offset, **rest)
    dtype = rest.get("dtype", torch.float32)
    return torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, torch.finfo(dtype).min)


def _is_by_row(q_offset: Any) -> bool:
    return isinstance(q_offset, torch.Tensor) and q_offset.ndim == 2


def _by_row(
    positions_BT: torch.Tensor, *, kv_length: int, mask_function: Mask, use_vmap: bool = False, **_: Any
) -> torch.Tensor:
    """[rows, 1, queries, keys], True where a query may look. Rows have no padding before their first token."""
    device = positions_BT.device
    rows_B = torch.arange(len(positions_BT), device=device)
    keys_K = torch.arange(kv_length, device=device)
    head_1 = torch.zeros(1, dtype=torch.long, device=device)
    if use_vmap:  # a function that is not known to broadcast
        over_keys = torch.vmap(mask_function, in_dims=(None, None, None, 0))
        over_queries = torch.vmap(over_keys, in_dims=(None, None, 0, None))
        over_heads = torch.vmap(over_queries, in_dims=(None, 0, None, None))
        return torch.vmap(over_heads, in_dims=(0, None, 0, None))(rows_B, head_1, positions_BT, keys_K)
    mask = mask_function(
        rows_B[:, None, None, None], head_1[None, :, None, None], positions_BT[:, None, :, None], keys_K
    )
    return mask.expand(len(positions_BT), 1, positions_BT.shape[1], kv_length)
