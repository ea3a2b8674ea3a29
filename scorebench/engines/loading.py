"""Opens models and tokenizers, and says in one sentence why one cannot be opened."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from scorebench.api.errors import UserError
from scorebench.api.protocols import ModelSpec

_DTYPES = ("float32", "bfloat16", "float16")


def load_model(spec: ModelSpec) -> Any:
    """The causal language model, in evaluation mode, on its device."""
    import torch
    from transformers import AutoModelForCausalLM

    device = resolved_device(spec)
    dtype = ("bfloat16" if device.startswith("cuda") else "float32") if spec.dtype == "auto" else spec.dtype
    if dtype not in _DTYPES:
        raise UserError(f"There is no dtype {spec.dtype!r}; take auto, {', '.join(_DTYPES)}.")
    model = _opened(AutoModelForCausalLM, spec.path, dtype=getattr(torch, dtype))
    return model.to(device).eval()


def load_tokenizer(spec: ModelSpec) -> Any:
    from transformers import AutoTokenizer

    return _opened(AutoTokenizer, spec.path)


def load_generation_config(spec: ModelSpec) -> Any:
    """The model's generation config without its weights: its own, else what its config says."""
    from transformers import AutoConfig, GenerationConfig

    try:
        return GenerationConfig.from_pretrained(spec.path)
    except OSError:
        return GenerationConfig.from_model_config(_opened(AutoConfig, spec.path))


def end_ids(generation_config: Any, tokenizer: Any) -> set[int]:
    """Ids that end a turn: those of the generation config and the tokenizer's own."""
    config = generation_config.eos_token_id if generation_config else None
    ids = config if isinstance(config, list) else [config]
    return {i for i in [*ids, tokenizer.eos_token_id] if i is not None}


def resolved_device(spec: ModelSpec) -> str:
    import torch

    if spec.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if spec.device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"--device {spec.device} was asked for, but torch sees no GPU here; leave the flag out.")
    return spec.device


def weights_digest(path: str) -> str:
    """Sixteen hexadecimal digits of a model's weight files, wherever they lie."""
    folder = Path(path)
    if not folder.is_dir():
        folder = _downloaded(path)
    files = sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin")])
    if not files:
        raise UserError(f"{folder} holds no weights (*.safetensors); name the folder of a saved model.")
    whole = hashlib.sha256()
    for file in files:
        whole.update(f"{file.name} {_file_digest(file)}\n".encode())
    return whole.hexdigest()[:16]


def _file_digest(file: Path) -> str:
    stored = file.resolve().name  # in the hub's cache a large file is named by its sha256
    if re.fullmatch(r"[0-9a-f]{64}", stored):
        return stored
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _downloaded(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=["*.safetensors"]))
    except Exception as fault:
        raise _cannot_open(name, fault) from fault


def _opened(kind: Any, path: str, **options: Any) -> Any:
    from transformers.utils import logging

    logging.disable_progress_bar()  # of weights that are read in a blink; a download shows its own
    try:
        return kind.from_pretrained(path, **options)
    except Exception as fault:  # transformers raises a dozen kinds for a folder that is no model
        raise _cannot_open(path, fault) from fault


def _cannot_open(path: str, fault: Exception) -> UserError:
    reason = str(fault).strip().split("\n")[0][:200]
    return UserError(
        f"Cannot open the model {path!r} ({type(fault).__name__}: {reason}); "
        "name a folder with config.json, weights and tokenizer, or a model on the hub."
    )
