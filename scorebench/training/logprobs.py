"""Log-probabilities of replies under the policy, and their exact KL to the reference, at any vocabulary.

The hidden states of reply tokens are gathered first. They become logits a chunk at a time, and again in the backward
pass, so that the logits of all tokens are never in memory at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.utils.checkpoint import checkpoint

from scorebench.engines.logits import contiguous_states, decoder_of, logits_of

# A chunk has at most _CHUNK tokens, and fewer where the vocabulary is so large that their logits would be more than
# _LOGITS numbers.
_CHUNK, _LOGITS = 1024, 1 << 25


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
    `temperature`, from which the tokens were sampled.
    """
    before_BL = replies_BL[:, 1:]  # the state before a token predicts it
    target_N = ids_BL[:, 1:][before_BL]
    hidden_ND = _hidden(policy, ids_BL)[:, :-1][before_BL]
    with torch.no_grad():
        other_ND = _hidden(reference, ids_BL)[:, :-1][before_BL]

    def chunk(hidden_ND: torch.Tensor, other_ND: torch.Tensor, target_N: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logp_NV = (logits_of(policy, hidden_ND) / temperature).log_softmax(-1)
        with torch.no_grad():
            reference_NV = (logits_of(reference, other_ND) / temperature).log_softmax(-1)
        probs_NV = logp_NV.exp()
        kl_N = (probs_NV * (logp_NV - reference_NV)).sum(-1)
        with torch.no_grad():
            entropy_N = -(probs_NV * logp_NV).sum(-1)
        return logp_NV.gather(-1, target_N[:, None])[:, 0], entropy_N, kl_N

    return TokenStats(*_in_chunks(chunk, policy, hidden_ND, other_ND, target_N))


def token_logprobs(policy: Any, ids_BL: torch.Tensor, replies_BL: torch.Tensor) -> torch.Tensor:
    """Log-probabilities (nats, temperature 1) of the tokens marked in replies_BL, in row-major order."""
    before_BL = replies_BL[:, 1:]
    target_N = ids_BL[:, 1:][before_BL]
    hidden_ND = _hidden(policy, ids_BL)[:, :-1][before_BL]

    def chunk(hidden_ND: torch.Tensor, target_N: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logp_NV = logits_of(policy, hidden_ND).log_softmax(-1)
        return (logp_NV.gather(-1, target_N[:, None])[:, 0],)

    (logp_N,) = _in_chunks(chunk, policy, hidden_ND, target_N)
    return logp_N


def _in_chunks(
    chunk: Callable[..., tuple[torch.Tensor, ...]], policy: Any, *tensors: torch.Tensor
) -> list[torch.Tensor]:
    """The results of `chunk` on all tokens, computed on some of them at a time. No tokens make one empty chunk."""
    step = max(1, min(_CHUNK, _LOGITS // policy.config.get_text_config().vocab_size))
    chunks = [
        checkpoint(chunk, *(tensor[at : at + step] for tensor in tensors), use_reentrant=False)
        for at in range(0, max(1, len(tensors[0])), step)
    ]
    return [torch.cat(column) for column in zip(*chunks, strict=True)]


def _hidden(model: Any, ids_BL: torch.Tensor) -> torch.Tensor:
    """The decoder's last states. The whole model is called, because its adapter and its shards act in its calls."""
    states: list[torch.Tensor] = []
    hook = decoder_of(model).register_forward_hook(lambda _, args, out: states.append(out.last_hidden_state))
    try:
        with contiguous_states(model):
            model(input_ids=ids_BL, use_cache=False, logits_to_keep=1)
    finally:
        hook.remove()
    return states[0]
