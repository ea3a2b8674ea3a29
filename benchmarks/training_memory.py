"""What a training step holds in memory, against the formula of docs/training.md, for two tiny models on a CPU.

    python benchmarks/training_memory.py

Measured is the sum of all storages that torch holds, followed op by op: between steps (weights, reference, gradients,
optimizer), and at the peak of a step above that (activations of one micro-batch, logits of one chunk). What an
allocator or a kernel takes beside tensors is not in it.
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

VOCABULARY, SEQUENCES, LENGTH = 2048, 32, 128
SIZES: dict[str, dict[str, Any]] = {
    "narrow": {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 8, "num_attention_heads": 2},
    "wide": {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 4, "num_attention_heads": 4},
}
TRAININGS = {
    "all weights, float32": (torch.float32, Tuning()),
    "all weights, bfloat16": (torch.bfloat16, Tuning()),
    "all weights, bfloat16, checkpointing": (torch.bfloat16, Tuning(gradient_checkpointing=True)),
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
                self._note(tensor.untyped_storage())
        return out

    def _note(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self.known:
            self.known.add(key)
            self.now += size
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


def measured(size: dict[str, Any], dtype: torch.dtype, tuning: Tuning) -> tuple[int, int, int, int]:
    """Numbers of weights and of an adapter's; bytes between steps, and above these at the peak of a step."""
    config = Qwen2Config(**size, num_key_value_heads=2, vocab_size=VOCABULARY, tie_word_embeddings=True)
    torch.manual_seed(0)
    before = 0
    with Held() as held:
        model = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
        weights = sum(p.numel() for p in model.parameters())
        policy, reference = prepare(model, tuning, seed=0)
        optimizer = adam(policy, 1e-5)
        ids_BL = torch.randint(0, VOCABULARY, (SEQUENCES, LENGTH))
        replies_BL = (torch.arange(LENGTH) >= LENGTH // 2).expand_as(ids_BL)
        for _ in range(2):
            before = held.peak = held.now
            with recomputed(policy):
                stats = token_stats(policy, reference, ids_BL, replies_BL, 1.0)
            backward(stats.logp_N.sum() + stats.kl_N.sum(), optimizer)
            del stats
            optimizer.step()
    return weights, sum(p.numel() for p in policy.parameters()) - weights, before, held.peak - before


def between_steps(weights: int, adapter: int, width: int) -> int:
    """Bytes of the formula: policy, reference, gradients, Adam's two moments, masters; width is that of a weight."""
    if adapter:
        return width * weights + (width + 4 + 8 + (4 if width == 2 else 0)) * adapter
    return (width + width + 4 + 8 + (4 if width == 2 else 0)) * weights


def above(size: dict[str, Any], adapter: bool, width: int, checkpointing: bool) -> int:
    """Bytes of the formula that a micro-batch takes."""
    hidden, inner, layers = size["hidden_size"], size["intermediate_size"], size["num_hidden_layers"]
    tokens = SEQUENCES * LENGTH
    factors = (7, 4.8) if adapter else (12.5, 4) if width == 2 else (10, 4)
    layer = tokens * width * (factors[0] * hidden + factors[1] * inner)
    logits = 6.5 * 4 * min(1024, (1 << 25) // VOCABULARY) * VOCABULARY
    if checkpointing:
        return int(layers * tokens * width * hidden + max(1.3 * layer, logits))  # 1.3: with its gradients
    return int(layers * layer + logits)


def main() -> None:
    print(f"a micro-batch of {SEQUENCES * LENGTH} tokens, vocabulary {VOCABULARY}; MB measured (by the formula)")
    for name, size in SIZES.items():
        for title, (dtype, tuning) in TRAININGS.items():
            weights, adapter, resident, peak = measured(size, dtype, tuning)
            one = between_steps(weights, adapter, dtype.itemsize)
            other = above(size, bool(adapter), dtype.itemsize, tuning.gradient_checkpointing)
            print(
                f"{name:7} {title:36} between steps {resident / 1e6:5.1f} ({one / 1e6:5.1f})   "
                f"above {peak / 1e6:6.1f} ({other / 1e6:6.1f}, {other / peak:.2f} x)"
            )


if __name__ == "__main__":
    main()
