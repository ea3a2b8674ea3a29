"""The ways in which a model can be named come to the same settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from scorebench.api.errors import UserError
from scorebench.api.protocols import ModelSpec
from scorebench.api.types import Sampling
from scorebench.engines.naming import engine_options
from scorebench.evaluation.settings import Settings, settings_from, template_args, write_settings
from tests.toy import Toy

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


def test_a_colon_that_follows_no_engine_is_part_of_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hf").mkdir()
    monkeypatch.chdir(tmp_path)
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
    from scorebench.engines.remote.openai import open_engine

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


def test_what_is_asked_of_sampling_and_template_reaches_them() -> None:
    from scorebench.evaluation.session import Session

    made = settings(
        model="org/m",
        engine="hf",
        top_k=5,
        repetition_penalty=1.2,
        stop=["a,b", "<|im_end|>"],
        enable_thinking=False,
        chat_template_args=["date_string=1 May 2020,depth=3"],
        model_args="max_model_len=2048,attn_implementation=eager",
    )
    session = Session(made)
    assert session.sampling == Sampling(0.0, 1.0, 5, 1024, ("a,b", "<|im_end|>"), 1.2)
    spec = session.spec(Toy())
    assert spec.template_args == {"date_string": "1 May 2020", "depth": 3, "enable_thinking": False}
    assert (spec.context_length, spec.options.attn_implementation) == (2048, "eager")


def test_what_was_asked_for_can_be_repeated_from_the_file_that_a_run_writes(tmp_path: Any) -> None:
    made = settings(model="m", stop=["\n\n"], top_k=3, chat_template_args={"depth": 3}, context_length=99)
    write_settings(tmp_path / "run.yaml", made)
    assert settings_from({}, tmp_path / "run.yaml") == made


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"top_k": -1}, "top-k"),
        ({"repetition_penalty": 0.0}, "repetition-penalty"),
        ({"stop": [""]}, "stop"),
        ({"context_length": 0}, "context-length"),
        ({"chat_template_args": ["depth"]}, "write name=value"),
    ],
)
def test_wrong_values_are_refused_by_the_name_of_their_flag(flags: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        settings(model="m", **flags)


def test_thinking_is_said_once() -> None:
    assert template_args(None, {"a": 1}) == {"a": 1}
    with pytest.raises(UserError, match="say it once"):
        template_args(True, {"enable_thinking": False})
