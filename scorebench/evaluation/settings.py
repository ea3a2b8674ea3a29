"""What a user asks for: flags, a configuration file, and --set, checked before anything starts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from scorebench.api.config import checked
from scorebench.api.errors import UserError


def _split(value: Any) -> Any:
    """a,b,c as a list, so that flags and files may both be short. A name that is there twice counts once."""
    names = [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value
    return list(dict.fromkeys(names)) if isinstance(names, list) and all(isinstance(n, str) for n in names) else names


def _device(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"auto|cpu|mps|(cuda|xpu)(:\d+)?", value):
        raise PydanticCustomError("device", "must be auto, cpu, cuda, cuda:1 or mps")
    return value


def _listed(value: Any) -> Any:
    """One string as a list of one. Nothing is split: a stop string and a value of --set may hold commas."""
    return [value] if isinstance(value, str) else value


def _pairs(value: Any) -> Any:
    """name=value, or several of them, as a dict; a value is read as YAML: true, 3, words."""
    import yaml

    if isinstance(value, dict):
        return value
    words = [word for text in _listed(value) for word in text.split(",") if word.strip()]
    if any("=" not in word for word in words):
        raise ValueError("write name=value,name=value")
    return {name.strip(): yaml.safe_load(said) for name, _, said in (word.partition("=") for word in words)}


Names = Annotated[list[str], BeforeValidator(_split), Field(min_length=1)]


class Settings(BaseModel):
    """One `scorebench run`. Every field is a flag of the same name, and may stand in --config."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Names
    task: Names
    task_args: dict[str, Any] = {}
    model: str | None = None
    model_args: dict[str, Any] = {}
    engine: str = "auto"
    data: Path | None = None
    out: Path = Path("results")
    split: Literal["test", "validation"] = "test"
    limit: Annotated[int, Field(ge=1)] | None = None
    seed: int = 0
    turns: Annotated[int, Field(ge=1)] = 2
    samples: Annotated[int, Field(ge=1)] = 1
    temperature: Annotated[float, Field(ge=0)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0
    repetition_penalty: Annotated[float, Field(gt=0)] = 1.0
    stop: Annotated[list[Annotated[str, Field(min_length=1)]], BeforeValidator(_listed)] = []
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    dtype: str = "auto"
    device: Annotated[str, BeforeValidator(_device)] = "auto"
    batch_size: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    system_prompt: str | None = None
    reading: Literal["loose", "strict"] = "loose"
    fresh: bool = False
    report_to: Annotated[list[Literal["tensorboard", "trackio", "wandb"]], BeforeValidator(_split)] = []
    enable_thinking: bool | None = None
    chat_template_args: Annotated[dict[str, Any], BeforeValidator(_pairs)] = {}
    context_length: Annotated[int, Field(ge=1)] | None = None
    set: Annotated[list[str], BeforeValidator(_listed)] = []


def template_args(enable_thinking: bool | None, others: Mapping[str, Any]) -> dict[str, Any]:
    """What the chat template is given beside the messages."""
    if enable_thinking is None:
        return dict(others)
    if others.get("enable_thinking", enable_thinking) != enable_thinking:
        raise UserError("--enable-thinking and --chat-template-args contradict each other; say it once.")
    return {**others, "enable_thinking": enable_thinking}


def settings_from(flags: Mapping[str, Any], config: Path | None) -> Settings:
    """Flags over the configuration file over the defaults. A name may end in _, where Python has the word: set_.

    `--set` on the command line adds to the file's `set`: of two values for one name the command line's wins. Where the
    command line names methods and none of them trains, the file's `set` is left out: it was for the file's methods.
    """
    from scorebench.engines.naming import unfolded

    given = {name.rstrip("_"): value for name, value in flags.items() if value not in (None, [])}
    filed = read_yaml(config) if config else {}
    merged = unfolded({**filed, **given})
    before = _listed(filed.get("set"))
    if "set" in given and before is not None:
        merged["set"] = [*before, *_listed(given["set"])] if isinstance(before, list) else before
    elif "method" in given and before is not None and not _any_trains(given["method"]):
        del merged["set"]
    if isinstance(merged.get("task_args"), str):
        merged["task_args"] = pairs_of(merged["task_args"], "--task-args")
    for needed in ("method", "task"):
        if needed not in merged and merged.keys() <= Settings.model_fields.keys():
            raise UserError(f"--{needed} is missing; `scorebench {needed}s` lists what there is.")
    return checked(Settings, merged, "the flags" if config is None else f"the flags or {config}")


def _any_trains(methods: str | list[str]) -> bool:
    from scorebench.api import registry
    from scorebench.api.protocols import trains

    return any(trains(registry.find("method", name)) for name in _split(methods))


def pairs_of(text: str, flag: str) -> dict[str, str]:
    """name=value,name=value as a dictionary; UserError where a part has no "="."""
    pairs = [word.partition("=") for word in text.split(",") if word.strip()]
    for name, equals, _ in pairs:
        if not equals:
            raise UserError(f"{flag}: {name!r} has no '='; write name=value,name=value.")
    return {name.strip(): value.strip() for name, _, value in pairs}


def write_settings(path: Path, settings: Settings) -> None:
    """A configuration file that repeats the run."""
    import yaml

    from scorebench.storage.files import write_text

    plain = settings.model_dump(mode="json", exclude_defaults=True, exclude={"fresh"})
    write_text(path, yaml.safe_dump(plain, sort_keys=False))


def read_yaml(path: Path, flag: str = "--config") -> dict[str, Any]:
    """The names and values in a YAML file, which a flag names; UserError where it holds none."""
    import yaml

    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        reason = " ".join(str(fault).split())[:200]
        raise UserError(f"Cannot read {flag} {path}: {reason}; give a YAML file.") from fault
    if not isinstance(read, dict):
        raise UserError(f"{flag} {path} holds no names and values; give a YAML file.")
    return {str(name).replace("-", "_"): value for name, value in read.items()}
