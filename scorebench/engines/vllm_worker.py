"""What scorebench adds to vLLM's workers, in their own processes: taking new weights."""

# pyright: reportMissingImports=false
# vLLM is optional, and mostly not installed where types are checked.

from __future__ import annotations

from typing import Any


class TakesWeights:
    """Mixed into vLLM's worker class (worker_extension_cls); called by collective_rpc."""

    reload_weights: Any
    model_runner: Any

    def take_weights(self, folder: str) -> None:
        """Plays with the weights of a saved model from now on. What caches hold is not touched."""
        self.reload_weights(weights_path=folder)
        _mend_tied_head(self.model_runner.get_model())


def _mend_tied_head(model: Any) -> None:
    """On a CPU, vLLM multiplies with a packed copy of each matrix, and does not renew that of a tied output matrix."""
    from vllm.platforms import current_platform

    if current_platform.is_cpu() and getattr(model.config, "tie_word_embeddings", False):
        from vllm.model_executor.layers.utils import dispatch_cpu_unquantized_gemm

        dispatch_cpu_unquantized_gemm(model.lm_head, remove_weight=False)
