"""Everything of a model that can change a token is in its identity; weights are read once."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from scorebench.api.errors import UserError
from scorebench.api.protocols import ModelSpec
from scorebench.engines import identity
from scorebench.engines.identity import model_identity, weights_digest
from scorebench.engines.loading import HFOptions, load_model
from tests import tiny


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "scorebench" / "digests"


@pytest.fixture
def spec(tmp_path: Path) -> ModelSpec:
    tiny.model().save_pretrained(tmp_path / "m")
    tiny.tokenizer().save_pretrained(tmp_path / "m")
    for file in (tmp_path / "m").iterdir():
        os.utime(file, (1e9, 1e9))
    return ModelSpec(str(tmp_path / "m"), "m", device="cpu")


def edited(folder: Path, name: str, **changes: Any) -> None:
    file = folder / name
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


CHANGES = {
    "config": lambda folder: edited(folder, "config.json", rms_norm_eps=1e-4),
    "generation_config": lambda folder: edited(folder, "generation_config.json", eos_token_id=[259, 258]),
    "tokenizer": lambda folder: edited(folder, "tokenizer_config.json", clean_up_tokenization_spaces=True),
    "chat_template": lambda folder: (folder / "chat_template.jinja").write_text(tiny.TEMPLATE + " "),
    "digest": lambda folder: tiny.model(seed=1).save_pretrained(folder),
}


@pytest.mark.parametrize("part", CHANGES)
def test_a_change_of_any_file_that_matters_is_a_change_of_the_identity(spec: ModelSpec, part: str) -> None:
    before = model_identity(spec)
    CHANGES[part](Path(spec.path))
    after = model_identity(spec)
    assert before[part] is not None
    assert after[part] != before[part]


@pytest.mark.parametrize(
    ("change", "part", "value"),
    [
        ({"dtype": "bfloat16"}, "dtype", "bfloat16"),
        ({"context_length": 100}, "context", 100),
        ({"context_length": 100_000}, "context", 512),
        ({"options": HFOptions(attn_implementation="eager")}, "attention", "eager"),
        ({"options": HFOptions(quantization="4bit")}, "quantization", "4bit"),
        ({"template_args": {"enable_thinking": True}}, "template_args", {"enable_thinking": True}),
    ],
)
def test_what_is_asked_for_is_in_the_identity_as_it_is_in_fact_used(
    spec: ModelSpec, change: dict[str, Any], part: str, value: Any
) -> None:
    plain = model_identity(spec)
    assert (plain["dtype"], plain["attention"], plain["context"]) == ("float32", "sdpa", 512)
    assert model_identity(replace(spec, **change))[part] == value


def test_the_place_and_what_wrote_it_are_not_in_the_identity(spec: ModelSpec, tmp_path: Path) -> None:
    shutil.copytree(spec.path, tmp_path / "elsewhere")
    edited(tmp_path / "elsewhere", "config.json", transformers_version="4.0")
    (tmp_path / "elsewhere" / "README.md").write_text("a model")
    assert model_identity(replace(spec, path=str(tmp_path / "elsewhere"))) == model_identity(spec)


def test_an_adapter_is_added_and_is_in_the_identity(spec: ModelSpec, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    adapted: Any = get_peft_model(tiny.model(), LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    adapted.save_pretrained(tmp_path / "adapter")
    with_it = replace(spec, options=HFOptions(adapter=str(tmp_path / "adapter")))
    assert model_identity(with_it)["adapter"]
    assert "adapter" not in model_identity(spec)
    ids = torch.tensor([[1, 2, 3]])
    torch.testing.assert_close(load_model(with_it)(ids).logits, adapted(ids).logits, atol=1e-4, rtol=1e-4)
    with pytest.raises(UserError, match="Cannot add the adapter"):
        load_model(replace(spec, options=HFOptions(adapter=spec.path)))


def test_weights_are_read_once_and_again_when_they_change(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    whole = identity.hashlib.file_digest
    monkeypatch.setattr(identity.hashlib, "file_digest", lambda f, kind: read.append(f.name) or whole(f, kind))
    monkeypatch.setattr(identity.time, "time", lambda: 9e9)  # all files are old
    first = weights_digest(spec.path)
    assert weights_digest(spec.path) == first
    assert len(read) == 1
    weights = Path(spec.path, "model.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert weights_digest(spec.path) != first
    assert len(read) == 2


def test_a_file_that_has_just_changed_is_read_whatever_the_cache_says(spec: ModelSpec) -> None:
    """Two changes within a tick of the file system's clock cannot be told apart by time."""
    weights = Path(spec.path, "model.safetensors")
    content = bytearray(weights.read_bytes())
    seen = set()
    for byte in range(5):
        content[-1] = byte
        weights.write_bytes(content)
        os.utime(weights, (1e9, 1e9))
        seen.add(weights_digest(spec.path))
    assert len(seen) == 5


def _many(path: str) -> list[str]:
    return [weights_digest(path) for _ in range(50)]


def test_processes_that_share_the_cache_agree(spec: ModelSpec, cache: Path) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        found = pool.map(_many, [spec.path] * 4)
    assert len({digest for part in found for digest in part}) == 1


def test_a_damaged_or_unwritable_cache_is_no_harm(spec: ModelSpec, cache: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(identity.time, "time", lambda: 9e9)
    first = weights_digest(spec.path)
    for file in cache.iterdir():
        file.write_text("{")
    assert weights_digest(spec.path) == first
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/none")
    assert weights_digest(spec.path) == first


def test_a_training_folder_is_no_model_and_the_sentence_says_where_it_is(spec: ModelSpec, tmp_path: Path) -> None:
    shutil.copytree(spec.path, tmp_path / "checkpoint" / "model")
    with pytest.raises(UserError, match="did you mean the folder model/ in it"):
        weights_digest(str(tmp_path / "checkpoint"))


@pytest.mark.parametrize("path", ["./none", "/none/at/all", "~/none"])
def test_a_folder_that_is_not_there_is_said_to_be_missing(path: str) -> None:
    """And it is not looked for on the hub."""
    with pytest.raises(UserError, match="There is no folder"):
        model_identity(ModelSpec(path, "m", device="cpu"))
    with pytest.raises(UserError, match="There is no folder"):
        load_model(ModelSpec(path, "m", device="cpu"))
