"""Draws tokens so that a row's draws depend on its own seed alone: batch 8 gives what 8 batches of 1 give."""

from __future__ import annotations

import numpy as np
import torch

from scorebench.api.types import Sampling


def uniforms(seed: int, count: int) -> np.ndarray:
    """The draws of one reply, one a token, in [0, 1): a counter-based generator makes them independent of the batch."""
    return np.random.Generator(np.random.Philox(key=seed)).random(count)


def draw(
    logits_BV: torch.Tensor, sampling: list[Sampling], uniform_B: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """One token a row, and its natural-log probability.

    Greedy rows (temperature 0) take the most probable token; their log-probability is at temperature 1. The others
    invert the cumulative distribution at uniform_B. Log-probabilities are those before top-p and top-k.
    """
    temperature_B1 = logits_BV.new_tensor([s.temperature or 1.0 for s in sampling])[:, None]
    logp_BV = torch.log_softmax(logits_BV.float() / temperature_B1, dim=-1)
    chosen_B = logp_BV.argmax(-1)
    hot = torch.tensor([s.temperature > 0 for s in sampling], device=logits_BV.device)
    if hot.any():
        probs_BV = _truncated(logp_BV.exp(), sampling)
        cdf_BV = probs_BV.cumsum(-1)
        drawn_B = torch.searchsorted(cdf_BV, uniform_B[:, None].to(cdf_BV) * cdf_BV[:, -1:], right=True)[:, 0]
        chosen_B = torch.where(hot, drawn_B.clamp(max=logits_BV.shape[-1] - 1), chosen_B)
    return chosen_B, logp_BV.gather(-1, chosen_B[:, None])[:, 0]


def _truncated(probs_BV: torch.Tensor, sampling: list[Sampling]) -> torch.Tensor:
    """Probabilities with everything outside top-p and top-k set to 0 (not renormalised)."""
    if all(s.top_p >= 1 and not s.top_k for s in sampling):
        return probs_BV
    vocabulary = probs_BV.shape[-1]
    top_p_B1 = probs_BV.new_tensor([s.top_p for s in sampling])[:, None]
    top_k_B1 = torch.tensor([s.top_k or vocabulary for s in sampling], device=probs_BV.device)[:, None]
    sorted_BV, order_BV = probs_BV.sort(-1, descending=True)
    before_BV = sorted_BV.cumsum(-1) - sorted_BV  # mass of the more probable tokens
    rank_V = torch.arange(vocabulary, device=probs_BV.device)
    keep_BV = ((before_BV < top_p_B1) | (top_p_B1 >= 1)) & (rank_V < top_k_B1)
    return torch.zeros_like(probs_BV).scatter(-1, order_BV, torch.where(keep_BV, sorted_BV, 0.0))
