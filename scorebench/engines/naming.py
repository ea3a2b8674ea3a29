"""How a user names a model: `--model PATH`, `hf:PATH`, or as in lm-eval `--model hf --model_args pretrained=PATH`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scorebench.api import registry
from scorebench.api.config import checked
from scorebench.api.errors import UserError
from scorebench.api.protocols import Opener

# What --model-args may say for every engine, and the flag that says the same.
_FLAGS = {
    "pretrained": "model",
    "model": "model",
    "dtype": "dtype",
    "device": "device",
    "batch_size": "batch_size",
    "context_length": "context_length",
    "max_model_len": "context_length",
    "max_length": "context_length",
}


def unfolded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings in which model, engine and the rest stand under their own names; model_args keeps what is one engine's.

    Raises UserError where two of them contradict each other.
    """
    plain = dict(values)
    engine, model = _engine_and_model(plain.get("model"))
    args = _parsed(plain.pop("model_args", {}))
    if engine:
        del plain["model"]
        _say(plain, "engine", engine, "--model")
        if model:
            _say(plain, "model", model, "--model")
    for name in [name for name in _FLAGS if name in args]:
        _say(plain, _FLAGS[name], args.pop(name), "--model-args")
    if engine and "model" not in plain:
        raise UserError(f"--model {engine} names an engine; name the model too, as in --model {engine}:MODEL.")
    if plain.get("model") and plain.get("engine", "auto") in ("auto", "hf", "vllm"):
        _check_folder(str(plain["model"]))
    return {**plain, "model_args": args} if args else plain


def engine_options(engine: str, opener: Opener, args: Mapping[str, Any]) -> Any:
    """What --model-args says to one engine, checked; None for an engine that has nothing of its own to be told."""
    kind = getattr(opener, "options", None)
    known = [*(kind.model_fields if kind else ()), *_FLAGS]
    unknown = [name for name in args if name not in known]
    if unknown:
        raise UserError(f"--model-args: the {engine} engine knows no {unknown[0]!r}; it takes {', '.join(known)}.")
    return checked(kind, args, "--model-args") if kind else None


def _engine_and_model(model: str | None) -> tuple[str, str]:
    """hf:PATH and hf alone, taken apart; a model that is named without an engine gives ("", "")."""
    engine, _, name = (model or "").partition(":")
    return (engine, name) if engine in registry.names("engine") else ("", "")


def _parsed(args: Any) -> dict[str, Any]:
    if isinstance(args, dict):
        return dict(args)
    pairs = [word.partition("=") for word in str(args).split(",") if word.strip()]
    for name, equals, _ in pairs:
        if not equals:
            raise UserError(f"--model-args: {name!r} has no '='; write name=value,name=value.")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _check_folder(model: str) -> None:
    """UserError where a model is written as a path and nothing is there, or only a training around a model."""
    folder = Path(model)
    if (folder / "model" / "config.json").is_file() and not (folder / "config.json").is_file():
        raise UserError(
            f"{model} is the folder of a training, and its model is inside: give --model {folder / 'model'}."
        )
    if (folder / "training.json").is_file() and not (folder / "config.json").is_file():
        raise UserError(f"The training in {model} is not complete, so there is no model yet: give its command again.")
    if (model.startswith((".", "/", "~")) or model.count("/") > 1) and not folder.exists():
        raise UserError(
            f"There is no folder {model}; give --model a folder that exists, or a name on the hub: OWNER/NAME."
        )


def _say(values: dict[str, Any], name: str, value: Any, where: str) -> None:
    if str(values.get(name, value)) != str(value):
        raise UserError(f"{where} says that {name} is {value!r}, and --{name} says {values[name]!r}; say it once.")
    values[name] = value
