"""Opens models and tokenizers, and says in one sentence why one cannot be opened."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from scorebench.api import verbosity
from scorebench.api.errors import UserError
from scorebench.api.protocols import ModelSpec

DTYPES = ("float32", "bfloat16", "float16")

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h
_MALLOPT_MOST = 2**31 - 1  # bytes; it takes an int


class HFOptions(BaseModel):
    """What --model-args takes for the hf engine.

    revision: branch, tag or commit of a model on the hub.
    trust_remote_code: whether code that comes with the model may run here.
    attn_implementation: sdpa or eager; by default what transformers takes for this architecture.
    quantization: 4bit or 8bit, made by bitsandbytes while the model is read; it needs a GPU.
    adapter: folder or hub name of a LoRA adapter (peft), which is added to the weights.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    revision: str | None = None
    trust_remote_code: bool = False
    attn_implementation: Literal["sdpa", "eager"] | None = None
    quantization: Literal["4bit", "8bit"] | None = None
    adapter: str | None = None


def load_model(spec: ModelSpec) -> Any:
    """The causal language model, in evaluation mode, on its device; an adapter is added to its weights."""
    import torch
    from transformers import AutoModelForCausalLM

    device, options = resolved_device(spec), hf_options(spec)
    if device == "cpu":
        _keep_freed_memory()
    given: dict[str, Any] = {"dtype": getattr(torch, resolved_dtype(spec))}
    if options.attn_implementation:
        given["attn_implementation"] = options.attn_implementation
    if options.quantization:
        given |= {"quantization_config": _quantization(options.quantization, device), "device_map": device}
    model = _opened(AutoModelForCausalLM, spec, **given)
    if is_gguf(spec.path):
        _forget_quantisation(model)
    if options.adapter:
        model = _with_adapter(model, options.adapter)
    return (model if options.quantization else model.to(device)).eval()


def load_tokenizer(spec: ModelSpec) -> Any:
    from transformers import AutoTokenizer

    return _opened(AutoTokenizer, spec)


def load_config(spec: ModelSpec) -> Any:
    """The model's configuration, without its weights."""
    from transformers import AutoConfig

    return _opened(AutoConfig, spec)


def load_generation_config(spec: ModelSpec) -> Any:
    """The model's generation config without its weights: its own, else what its config says."""
    from transformers import GenerationConfig

    try:
        return GenerationConfig.from_pretrained(spec.path, **_revision(spec))
    except OSError:
        return GenerationConfig.from_model_config(load_config(spec))


def end_ids(generation_config: Any, tokenizer: Any) -> set[int]:
    """Ids that end a turn: those of the generation config and the tokenizer's own."""
    config = generation_config.eos_token_id if generation_config else None
    ids = config if isinstance(config, list) else [config]
    return {i for i in [*ids, tokenizer.eos_token_id] if i is not None}


def hf_options(spec: ModelSpec) -> HFOptions:
    """The options of a model that is opened by transformers; for another engine's model those that it shares."""
    if isinstance(spec.options, HFOptions):
        return spec.options
    shared = {name: getattr(spec.options, name, None) for name in ("revision", "trust_remote_code")}
    return HFOptions(**{name: value for name, value in shared.items() if value is not None})  # type: ignore[arg-type]


def _revision(spec: ModelSpec) -> dict[str, Any]:
    revision = hf_options(spec).revision
    return {"revision": revision} if revision else {}


def is_gguf(path: str) -> bool:
    """Whether a model is named by a single GGUF file, as llama.cpp has them."""
    return path.endswith(".gguf")


def gguf_file(path: str) -> Path:
    """The file; UserError where there is none."""
    if not Path(path).is_file():
        raise UserError(f"There is no file {path}; name a GGUF file, or a folder with a model.")
    return Path(path)


def resolved_device(spec: ModelSpec) -> str:
    """The device that is in fact used; UserError where there is no such one."""
    if spec.device == "auto":
        return "cuda" if _sees_gpu() else "cpu"
    if spec.device.startswith("cuda") and not _sees_gpu():
        raise UserError(f"--device {spec.device} was asked for, but torch sees no GPU here; leave the flag out.")
    return spec.device


def resolved_dtype(spec: ModelSpec) -> str:
    """The dtype that is in fact used: for "auto", bfloat16 on a GPU and float32 elsewhere."""
    if spec.dtype == "auto":
        return "bfloat16" if resolved_device(spec).startswith("cuda") else "float32"
    if spec.dtype not in DTYPES:
        raise UserError(f"There is no dtype {spec.dtype!r}; take auto, {', '.join(DTYPES)}.")
    return spec.dtype


def _keep_freed_memory() -> None:
    """Tells glibc to reuse large blocks that were freed, and not to return each of them to the kernel.

    Else every tensor of more than 32 MB, and most activations of a training, come as new pages, which the kernel fills
    with zeros: up to a quarter of the time of an update. Other C libraries have no mallopt, and are left as they are.
    """
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MALLOPT_MOST)
        mallopt(_M_TRIM_THRESHOLD, _MALLOPT_MOST)


def _sees_gpu() -> bool:
    """Asks torch, whose import takes seconds, only where a driver is there at all."""
    if "torch" not in sys.modules and not any(map(os.path.exists, ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg"))):
        return False
    import torch

    return torch.cuda.is_available()


def _quantization(bits: str, device: str) -> Any:
    from importlib.util import find_spec

    if find_spec("bitsandbytes") is None or not device.startswith("cuda"):
        raise UserError(
            f"--model-args quantization={bits} needs a GPU and bitsandbytes (pip install bitsandbytes); leave it out."
        )
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_4bit=True) if bits == "4bit" else BitsAndBytesConfig(load_in_8bit=True)


def _forget_quantisation(model: Any) -> None:
    """Weights of a GGUF file are whole numbers no more when they are read; else the model could not be saved."""
    model.hf_quantizer = None
    model.is_quantized = False
    for name in ("quantization_config", "_pre_quantization_dtype"):
        if hasattr(model.config, name):
            delattr(model.config, name)


def _with_adapter(model: Any, adapter: str) -> Any:
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(model, adapter).merge_and_unload()  # type: ignore[operator]
    except Exception as fault:  # peft raises a dozen kinds for a folder that is no adapter, or another model's
        raise UserError(
            f"Cannot add the adapter {adapter!r} ({_reason(fault)}); name a folder with adapter_config.json that was "
            "made for this model."
        ) from fault


def _opened(kind: Any, spec: ModelSpec, **given: Any) -> Any:
    from transformers.utils import logging

    options = hf_options(spec)
    logging.disable_progress_bar()  # of weights that are read in a blink; a download shows its own
    try:
        if is_gguf(spec.path):
            return _opened_gguf(kind, gguf_file(spec.path), **given)
        return kind.from_pretrained(spec.path, trust_remote_code=options.trust_remote_code, **_revision(spec), **given)
    except UserError:
        raise
    except Exception as fault:  # transformers raises a dozen kinds for a folder that is no model
        raise cannot_open(spec.path, fault, options.revision) from fault


def _opened_gguf(kind: Any, file: Path, **given: Any) -> Any:
    from importlib.util import find_spec

    if find_spec("gguf") is None:
        raise UserError("A GGUF file is read by the package gguf; install it with pip install 'scorebench[gguf]'.")
    try:
        if "dtype" in given:  # a model, whose weights could also stay packed, and could then not be trained
            from transformers import GgufConfig

            given["quantization_config"] = GgufConfig(dequantize=True)
            _hide_the_bar()
        return kind.from_pretrained(str(file.parent), gguf_file=file.name, **given)
    except Exception as fault:
        raise UserError(
            f"Cannot open {file} ({_reason(fault)}); transformers reads the GGUF files of some architectures only "
            "(Llama, Mistral, Qwen2, Qwen3, Phi-3, Gemma and a few more): name the model's own folder or hub name."
        ) from fault


def _hide_the_bar() -> None:
    """The bar of transformers' GGUF reader is for terminals, and not with --quiet."""
    from tqdm.auto import tqdm
    from transformers import modeling_gguf_pytorch_utils

    reader: Any = modeling_gguf_pytorch_utils
    off = True if verbosity.quiet else None  # None: where standard error is no terminal
    reader.tqdm = partial(tqdm, disable=off)


def cannot_open(path: str, fault: Exception, revision: str | None = None) -> UserError:
    """One sentence on a model that cannot be opened. revision: the one that was asked for, if any."""
    if path.startswith((".", "/", "~")) and not Path(path).exists():
        return UserError(f"There is no folder {path}; name a folder with a model, a GGUF file, or a model on the hub.")
    if "trust_remote_code" in str(fault):
        return UserError(
            f"The model {path!r} comes with code of its own, which is not run unasked; read that code, and allow it "
            "with --model-args trust_remote_code=true."
        )
    at = f" at revision {revision!r}" if revision else ""
    return UserError(
        f"Cannot open the model {path!r}{at} ({_reason(fault)}); "
        "name a folder with config.json, weights and tokenizer, or a model on the hub."
    )


def _reason(fault: Exception) -> str:
    return f"{type(fault).__name__}: {str(fault).strip().split(chr(10))[0][:200]}"
