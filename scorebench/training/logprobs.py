"""Log-probabilities of replies under the policy, and their exact KL to the reference, at any vocabulary.

The hidden states of reply tokens are gathered first, then turned into logits a chunk at a time and recomputed in
the backward pass, so that tokens x vocabulary never stands in memory at once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch.utils.checkpoint import checkpoint

from scorebench.engines.logits import decoder_of, logits_of

_CHUNK = 1024  # tokens whose logits are in memory at a time
_LOGITS = 1 << 25  # numbers that these logits may have: with a large vocabulary it is fewer tokens


class TokenStats(NamedTuple):
    """For each of N reply tokens: log-probability, entropy and KL(policy || reference) of its distribution, in nats."""

    logp_N: torch.Tensor
    entropy_N: torch.Tensor
    kl_N: torch.Tensor


def token_stats(
    policy: Any, reference: Any, ids_BL: torch.Tensor, replies_BL: torch.Tensor, temperature: float
) -> TokenStats:
    """Statistics of the tokens marked in replies_BL (True at reply tokens), in row-major order.

    ids_BL is padded on the right; causal attention needs no mask for that. The distributions are those at
    `temperature`, which are the ones that were sampled from.
    """
    before_BL = replies_BL[:, 1:]  # the state before a token predicts it
    target_N = ids_BL[:, 1:][before_BL]
    hidden_ND = _hidden(policy, ids_BL)[:, :-1][before_BL]
    with torch.no_grad():
        other_ND = _hidden(reference, ids_BL)[:, :-1][before_BL]
    chunks = []
    step = max(1, min(_CHUNK, _LOGITS // policy.config.get_text_config().vocab_size))
    for at in range(0, len(target_N), step):
        part = slice(at, at + step)
        args = (policy, reference, hidden_ND[part], other_ND[part], target_N[part], temperature)
        chunks.append(checkpoint(_chunk, *args, use_reentrant=False))
    return TokenStats(*(torch.cat(column) for column in zip(*chunks, strict=True)))


def _chunk(
    policy: Any,
    reference: Any,
    hidden_ND: torch.Tensor,
    other_ND: torch.Tensor,
    target_N: torch.Tensor,
    temperature: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    logp_NV = (logits_of(policy, hidden_ND) / temperature).log_softmax(-1)
    with torch.no_grad():
        reference_NV = (logits_of(reference, other_ND) / temperature).log_softmax(-1)
    probs_NV = logp_NV.exp()
    kl_N = (probs_NV * (logp_NV - reference_NV)).sum(-1)
    with torch.no_grad():
        entropy_N = -(probs_NV * logp_NV).sum(-1)
    return logp_NV.gather(-1, target_N[:, None])[:, 0], entropy_N, kl_N


def _hidden(model: Any, ids_BL: torch.Tensor) -> torch.Tensor:
    """The decoder's last states. The whole model is called, because its adapter and its shards act in its calls."""
    states: list[torch.Tensor] = []
    hook = decoder_of(model).register_forward_hook(lambda _, args, out: states.append(out.last_hidden_state))
    try:
        model(input_ids=ids_BL, use_cache=False, logits_to_keep=1)
    finally:
        hook.remove()
    return states[0]
