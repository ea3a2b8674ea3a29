"""What of a model can change a token, as plain data: a part of what a run is."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from scorebench.api import registry
from scorebench.api.chat import FROZEN_DATE
from scorebench.api.errors import UserError
from scorebench.api.protocols import ModelSpec
from scorebench.engines.context import LENGTHS
from scorebench.engines.loading import cannot_open, gguf_file, hf_options, is_gguf, load_config, resolved_dtype

_TOKENIZER = (
    "tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "*.model", "*.tiktoken",
    "chat_template.*", "additional_chat_templates/*",
)  # fmt: skip
_OF_NO_ACCOUNT = {"_name_or_path", "transformers_version"}  # in a config.json


def model_identity(spec: ModelSpec) -> Mapping[str, Any]:
    """Everything of a model that can change a token; UserError where the model cannot be read.

    digest: of the weights. config, generation_config, tokenizer, chat_template: digests, None where there is none.
    template_args, date: what the chat template is given. dtype, attention: those that are in fact used.
    context: the longest sequence in tokens. adapter, quantization, revision: where they are asked for.

    Weights are read once: a cache in the user's cache folder knows them by path, size and time.
    """
    opener = registry.find("engine", spec.engine)
    if hasattr(opener, "identify"):
        return opener.identify(spec)
    options = spec.options
    folder = _folder(spec)
    config = _config(spec, folder)
    asked = {name: getattr(options, name, None) for name in ("revision", "quantization", "trust_remote_code")}
    adapter = getattr(options, "adapter", None)
    return {
        "name": spec.label,
        "digest": weights_digest(spec.path, getattr(options, "revision", None)),
        "config": _digest(config),
        "generation_config": _digest(_json(folder / "generation_config.json")),
        "tokenizer": None if is_gguf(spec.path) else _files_digest(folder, _TOKENIZER),
        **_template(spec, folder),
        "dtype": resolved_dtype(spec),
        "attention": spec.engine if spec.engine != "hf" else _attention(spec, config),
        "context": _context(config, spec.context_length),
        **({"adapter": weights_digest(adapter)} if adapter else {}),
        **{name: value for name, value in asked.items() if value},
    }


def weights_digest(path: str, revision: str | None = None) -> str:
    """Sixteen hexadecimal digits of a model's weight files, wherever they lie."""
    if is_gguf(path):
        return _file_digest(gguf_file(path))[:16]
    folder = Path(path) if Path(path).is_dir() else _downloaded(path, revision)
    files = sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin")])
    if not files:
        inner = " (did you mean the folder model/ in it?)" if (folder / "model" / "config.json").is_file() else ""
        raise UserError(f"{folder} holds no weights (*.safetensors){inner}; name the folder of a saved model.")
    return _digest_of_files(files)


def cached(key: str, make: Callable[[], str]) -> str:
    """A text that was made before, or is made now. Each is a file of its own, so processes are in nobody's way."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scorebench" / "digests"
    file = root / hashlib.sha256(key.encode()).hexdigest()[:32]
    try:
        return json.loads(file.read_text(encoding="utf-8"))["value"]
    except (OSError, ValueError, KeyError, TypeError):
        value = make()
    try:
        root.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f"{file.name}.{os.getpid()}")
        part.write_text(json.dumps({"key": key, "value": value}), encoding="utf-8")
        os.replace(part, file)
    except OSError:
        pass  # a cache folder that cannot be written costs time alone
    return value


def _file_digest(file: Path) -> str:
    """SHA-256 of a file, once for each path, size and time of change."""
    real = file.resolve()
    if re.fullmatch(r"[0-9a-f]{64}", real.name):  # in the hub's cache a large file is named by its sha256
        return real.name

    def read() -> str:
        with real.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()

    stat = real.stat()
    changed = max(stat.st_mtime, stat.st_ctime)
    if time.time() - changed < 2:  # it may be changed again within the same tick of the file system's clock
        return read()
    return cached(f"{real} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}", read)


def _digest_of_files(files: Iterable[Path]) -> str:
    whole = hashlib.sha256()
    for file in files:
        whole.update(f"{file.name} {_file_digest(file)}\n".encode())
    return whole.hexdigest()[:16]


def _files_digest(folder: Path, patterns: Iterable[str]) -> str | None:
    files = sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()})
    return _digest_of_files(files) if files else None


def _folder(spec: ModelSpec) -> Path:
    if is_gguf(spec.path):
        return gguf_file(spec.path) / "no-other-files"  # a GGUF file holds all that there is of its model
    return (
        Path(spec.path) if Path(spec.path).is_dir() else _downloaded(spec.path, getattr(spec.options, "revision", None))
    )


def _downloaded(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    kinds = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken", "*.py"]
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=kinds))
    except Exception as fault:
        raise cannot_open(name, fault, revision) from fault


def _config(spec: ModelSpec, folder: Path) -> dict[str, Any]:
    if not is_gguf(spec.path):
        return _json(folder / "config.json") or {}
    text = cached(
        f"config {_file_digest(Path(spec.path))} {version('transformers')}",
        lambda: load_config(spec).to_json_string(use_diff=False),
    )
    return json.loads(text)


def _json(file: Path) -> dict[str, Any] | None:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _digest(value: dict[str, Any] | None) -> str | None:
    if value is None:
        return None
    kept = {name: part for name, part in value.items() if name not in _OF_NO_ACCOUNT}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def _template(spec: ModelSpec, folder: Path) -> dict[str, Any]:
    """The chat template by its digest, its arguments, and the date where it asks for one."""
    file = folder / "chat_template.jinja"
    told = (_json(folder / "tokenizer_config.json") or {}).get("chat_template")
    template = file.read_text(encoding="utf-8") if file.is_file() else json.dumps(told) if told else None
    return {
        "chat_template": hashlib.sha256(template.encode()).hexdigest()[:16] if template else None,
        **({"template_args": dict(spec.template_args)} if spec.template_args else {}),
        **({"date": FROZEN_DATE.date().isoformat()} if template and "strftime_now" in template else {}),
    }


def _attention(spec: ModelSpec, config: dict[str, Any]) -> str:
    """Sdpa or eager: what was asked for, else what transformers takes for this architecture."""
    if asked := hf_options(spec).attn_implementation:
        return asked
    return cached(f"attention {_digest(config)} {version('transformers')} {version('torch')}", lambda: _taken(spec))


def _taken(spec: ModelSpec) -> str:
    import torch
    from transformers import AutoModelForCausalLM

    config = load_config(spec)
    try:
        with torch.device("meta"):
            code = hf_options(spec).trust_remote_code
            return AutoModelForCausalLM.from_config(config, trust_remote_code=code).config._attn_implementation
    except Exception as fault:  # an architecture that is no causal language model
        raise cannot_open(spec.path, fault) from fault


def _context(config: dict[str, Any], asked: int | None) -> int | None:
    text = config.get("text_config") or config
    own = next((text[name] for name in LENGTHS if isinstance(text.get(name), int)), None)
    return min((length for length in (own, asked) if length), default=None)
