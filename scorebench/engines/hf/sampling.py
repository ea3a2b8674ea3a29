"""Draws tokens so that a row's draws depend on its own seed alone: batch 8 gives what 8 batches of 1 give."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from scorebench.api.types import Sampling


def uniforms(seed: int, count: int) -> np.ndarray:
    """The draws of one reply, one for each token, in [0, 1). A counter-based generator makes them from the seed."""
    return np.random.Generator(np.random.Philox(key=seed)).random(count)


def draw(
    logits_BV: torch.Tensor, sampling: list[Sampling], uniform_B: torch.Tensor, seen: Sequence[Sequence[int]] = ()
) -> tuple[torch.Tensor, torch.Tensor]:
    """One token for each row, and its natural-log probability; NaN where the row's logits are no numbers.

    Greedy rows (temperature 0) take the most probable token; their log-probability is at temperature 1. The others
    invert the cumulative distribution at uniform_B. Log-probabilities are those after the repetition penalty and before
    top-p and top-k. seen: the tokens of each row so far, prompt included, which the repetition penalty is for.
    """
    logits_BV = _penalised(logits_BV.float(), sampling, seen)
    temperature_B1 = logits_BV.new_tensor([s.temperature or 1.0 for s in sampling])[:, None]
    logp_BV = torch.log_softmax(logits_BV / temperature_B1, dim=-1)
    chosen_B = logp_BV.argmax(-1)
    hot = torch.tensor([s.temperature > 0 for s in sampling], device=logits_BV.device)
    if hot.any():
        drawn_B = _inverted(_truncated(logp_BV.exp(), sampling), uniform_B)
        chosen_B = torch.where(hot, drawn_B, chosen_B)
    return chosen_B, logp_BV.gather(-1, chosen_B[:, None])[:, 0]


def _inverted(probs_BV: torch.Tensor, uniform_B: torch.Tensor) -> torch.Tensor:
    """The token at which the cumulative distribution passes uniform_B; always one whose probability is above 0.

    Rounding can lead past the last such token (a uniform just below 1 becomes 1 in float32) or, where a GPU adds up in
    another order, to a token of probability 0; the nearest one of the distribution before it is taken then.
    """
    cdf_BV = probs_BV.cumsum(-1)
    drawn_B = torch.searchsorted(cdf_BV, uniform_B[:, None].to(cdf_BV) * cdf_BV[:, -1:], right=True)[:, 0]
    drawn_B = drawn_B.clamp(max=probs_BV.shape[-1] - 1)
    if (probs_BV.gather(-1, drawn_B[:, None]) > 0).all():
        return drawn_B
    index_V = torch.arange(probs_BV.shape[-1], device=probs_BV.device)
    last_BV = torch.where(probs_BV > 0, index_V, -1).cummax(-1).values
    nearest_B = last_BV.gather(-1, drawn_B[:, None])[:, 0]
    return torch.where(nearest_B < 0, (probs_BV > 0).int().argmax(-1), nearest_B)


def _penalised(logits_BV: torch.Tensor, sampling: list[Sampling], seen: Sequence[Sequence[int]]) -> torch.Tensor:
    """Keskar et al. (2019): the logits of tokens that occurred are divided by the penalty, negative ones multiplied."""
    rows = [i for i, s in enumerate(sampling) if s.repetition_penalty != 1]
    if not rows:
        return logits_BV
    logits_BV = logits_BV.clone()
    for i in rows:
        ids = torch.tensor(sorted(set(seen[i])), device=logits_BV.device)
        penalty, logits_N = sampling[i].repetition_penalty, logits_BV[i, ids]
        logits_BV[i, ids] = torch.where(logits_N > 0, logits_N / penalty, logits_N * penalty)
    return logits_BV


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
