"""From hidden states to logits, as each architecture does it: scales, soft caps, and whatever else it has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class _States:
    """What a decoder returns, with the hidden states that are wanted; nothing else of it is known."""

    def __init__(self, hidden_BLD: torch.Tensor) -> None:
        self.last_hidden_state = hidden_BLD

    def __getitem__(self, index: Any) -> Any:
        return (self.last_hidden_state, None)[index]

    def __getattr__(self, name: str) -> None:
        return None


def decoder_of(model: Any) -> Any:
    """The module in a causal language model that gives its last hidden states.

    transformers' get_decoder() gives the model itself, or the output layer, for a few architectures.
    """
    decoder = model.get_decoder()
    if decoder is not model and decoder is not model.get_output_embeddings():
        return decoder
    return next(child for child in model.children() if hasattr(child, "get_input_embeddings"))


@contextmanager
def contiguous_states(model: Any) -> Iterator[None]:
    """Inside, the output layer gets hidden states that are contiguous in memory.

    torch multiplies states that were sliced out of a batch of sequences one row at a time, each with a copy of the
    layer's weights. For a large vocabulary that takes longer than the rest of the model.
    """
    layer = model.get_output_embeddings()
    if layer is None:
        yield
        return
    hook = layer.register_forward_pre_hook(lambda _, args: tuple(states.contiguous() for states in args))
    try:
        yield
    finally:
        hook.remove()


def logits_of(model: Any, hidden_ND: torch.Tensor) -> torch.Tensor:
    """The logits_NV of N last hidden states of the model's decoder, in float32.

    The model's own forward pass computes them, with these states in the place of its decoder's. So what follows the
    decoder is right for every architecture: Granite's and Cohere's scales of the logits, Gemma's soft cap. forward() is
    called without the hooks of a call, so no other process is waited for.
    """
    decoder = decoder_of(model)
    own = decoder.__dict__.get("forward")
    decoder.forward = lambda *args, **kwargs: _States(hidden_ND[None])
    try:
        ids = torch.zeros(1, 1, dtype=torch.long, device=hidden_ND.device)
        return model.forward(input_ids=ids, use_cache=False).logits[0].float()
    finally:
        if own is None:
            del decoder.forward
        else:
            decoder.forward = own
