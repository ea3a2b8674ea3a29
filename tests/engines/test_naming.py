"""The ways in which a model can be named come to the same settings."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from scorebench.api.errors import UserError
from scorebench.api.protocols import ModelSpec
from scorebench.engines.naming import engine_options
from scorebench.evaluation.settings import Settings, settings_from

WHAT = {"method": "base", "task": "math"}


def settings(config: Any = None, **flags: Any) -> Settings:
    return settings_from(WHAT | flags, config)


@pytest.mark.parametrize(
    "flags",
    [
        {"model": "org/m", "engine": "hf", "dtype": "bfloat16"},
        {"model": "hf:org/m", "dtype": "bfloat16"},
        {"model": "hf", "model_args": "pretrained=org/m,dtype=bfloat16"},
        {"engine": "hf", "model_args": "pretrained=org/m, dtype=bfloat16"},
        {"model": "hf:org/m", "engine": "hf", "model_args": {"dtype": "bfloat16"}},
        {"model": "hf", "model_args": "pretrained=org/m,dtype=bfloat16", "dtype": "bfloat16"},
    ],
)
def test_ways_to_name_a_model(flags: dict[str, Any]) -> None:
    assert settings(**flags) == Settings(method=["base"], task=["math"], model="org/m", engine="hf", dtype="bfloat16")


def test_a_colon_that_follows_no_engine_is_part_of_the_name() -> None:
    assert settings(model="org/m:latest").model == "org/m:latest"
    assert settings(model="openai:qwen2.5:7b").model == "qwen2.5:7b"
    assert settings(model="./hf").engine == "auto"


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"model": "hf:a", "engine": "openai"}, "engine"),
        ({"model": "hf:a", "model_args": "pretrained=b"}, "say it once"),
        ({"model": "a", "dtype": "float32", "model_args": "dtype=bfloat16"}, "say it once"),
        ({"model": "hf"}, "name the model too"),
        ({"model": "a", "model_args": "dtype"}, "has no '='"),
    ],
)
def test_contradictions_are_refused(flags: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        settings(**flags)


def test_what_is_left_over_is_for_the_engine(tmp_path: Any) -> None:
    from scorebench.engines.openai import open_engine

    made = settings(model="openai:m", model_args="timeout=5,base_url=http://a/v1?x=1,batch_size=3")
    assert made.batch_size == 3
    options = engine_options("openai", open_engine, made.model_args)
    assert (options.timeout, options.base_url) == (5.0, "http://a/v1?x=1")
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump({"model": "openai:m", "model_args": {"body": {"top_k": 20}}}))
    assert engine_options("openai", open_engine, settings(config).model_args).body == {"top_k": 20}


def test_unknown_arguments_are_refused_with_the_known_ones() -> None:
    def opener(spec: ModelSpec) -> Any: ...

    assert engine_options("hf", opener, {}) is None
    with pytest.raises(UserError, match=r"the hf engine knows no 'trust'; it takes pretrained, model, dtype"):
        engine_options("hf", opener, {"trust": "1"})
