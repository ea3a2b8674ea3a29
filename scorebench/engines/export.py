"""A policy in training, written as a checkpoint that anything opens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def save_plain(policy: Any, folder: Path) -> None:
    """Saves the policy's weights as they are now, with an adapter added to them; the policy is not changed."""
    if not has_adapter(policy):
        policy.save_pretrained(folder)
        return
    policy._hf_peft_config_loaded = False  # else save_pretrained saves the adapter alone
    try:
        policy.save_pretrained(folder, state_dict=_merged(policy))
    finally:
        policy._hf_peft_config_loaded = True


def has_adapter(model: Any) -> bool:
    """Whether adapters stand beside the model's own weights."""
    return bool(getattr(model, "peft_config", None))


@torch.no_grad()
def _merged(policy: Any) -> dict[str, torch.Tensor]:
    """The weights under the names that they have without the adapter, in main memory."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers: dict[str, Any] = {n: module for n, module in policy.named_modules() if isinstance(module, BaseTunerLayer)}
    merged: dict[str, torch.Tensor] = {}
    for name, tensor in policy.state_dict().items():
        place, _, rest = name.partition(".base_layer.")
        if rest:
            delta = sum(layers[place].get_delta_weight(adapter) for adapter in layers[place].active_adapters)
            merged[f"{place}.{rest}"] = (tensor + delta if rest == "weight" else tensor).to(tensor.dtype).cpu()
        elif not any(name.startswith(f"{layer}.") for layer in layers):
            merged[name] = tensor.cpu()
    return merged
