"""What a training step holds in memory, against the formula of docs/training.md, for two tiny models on a CPU.

    python benchmarks/training_memory.py

Measured is the sum of all storages that torch holds, followed op by op: after a step (weights, reference, gradients,
optimizer), and at its peak over that (activations of one micro-batch of --tokens tokens, and logits). Bytes do not
depend on the device, but kernels do: a GPU's attention keeps less than this one, and its allocator rounds up.
"""

from __future__ import annotations

import sys
import weakref
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AutoModelForCausalLM, Qwen2Config

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from scorebench.training.logprobs import token_stats
from scorebench.training.optimizer import adam, backward
from scorebench.training.tuning import Lora, Tuning
from scorebench.training.weights import prepare, recomputed

SIZES: dict[str, dict[str, Any]] = {
    "narrow": {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 6, "num_attention_heads": 4},
    "wide": {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 3, "num_attention_heads": 8},
}
TRAININGS = {
    "all weights, float32": (torch.float32, Tuning()),
    "all weights, bfloat16": (torch.bfloat16, Tuning()),
    "rank 8, bfloat16": (torch.bfloat16, Tuning(lora=Lora(rank=8))),
    "rank 8, bfloat16, checkpointing": (torch.bfloat16, Tuning(lora=Lora(rank=8), gradient_checkpointing=True)),
}


class Held(TorchDispatchMode):
    """Counts the bytes of all storages that ops make, as they come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self.note(tensor)
        return out

    def note(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self.known:
            return
        self.known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


def resident(weights: int, adapter: int, width: int) -> int:
    """Bytes between steps. width: bytes of a weight; adapter: its weights, 0 where all weights are trained."""
    if adapter:
        return width * weights + (4 + 4 + 8) * adapter
    masters = 0 if width == 4 else 4
    return (width + width + 4 + 8 + masters) * weights  # policy, reference, gradients, Adam's moments


def activations(config: Any, tokens: int, width: int, checkpointing: bool) -> int:
    """Bytes of one micro-batch: the layers' inputs alone, and one whole layer, where layers are computed again."""
    raise NotImplementedError


def measure(size: dict[str, Any], dtype: torch.dtype, tuning: Tuning, tokens: int) -> tuple[int, int, Any, int]:
    """Bytes resident after a step, and those above them at the peak of the next; the model's config and adapter."""
    config = Qwen2Config(**size, num_key_value_heads=2, vocab_size=2048, tie_word_embeddings=True)
    torch.manual_seed(0)
    with Held() as held:
        model = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
        policy, reference = prepare(model, tuning, seed=0)
        optimizer = adam(policy, 1e-5)
        ids_BL = torch.randint(0, 2048, (tokens // 128, 128))
        replies_BL = torch.arange(128).expand_as(ids_BL) >= 64
        for step in range(2):
            if step:
                before, held.peak = held.now, held.now
            with recomputed(policy):
                stats = token_stats(policy, reference, ids_BL, replies_BL, 1.0)
            backward(stats.logp_N.sum() + stats.kl_N.sum(), optimizer)
            del stats
            optimizer.step()
    adapter = sum(p.numel() for p in policy.parameters() if p.requires_grad) if tuning.lora.rank else 0
    return before, held.peak - before, config, adapter
