"""A GGUF file is a model as any other: played as transformers plays it, trained, saved, and known by its content."""

from __future__ import annotations

import asyncio
import os
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from scorebench.api.errors import UserError
from scorebench.api.protocols import ModelSpec
from scorebench.api.types import Reply, Sampling
from scorebench.engines.hf.opener import open_engine
from scorebench.engines.identity import model_identity
from scorebench.methods.score import score
from scorebench.training.trainer import train, training_of
from scorebench.training.tuning import Lora, Tuning
from tests import gguf_file
from tests.toy import Toy


def spec(file: Path) -> ModelSpec:
    return ModelSpec(str(file), "tiny", dtype="float32", device="cpu")


def two_turns(spec: ModelSpec) -> tuple[Any, list[Reply]]:
    """The model, and greedy replies of two turns."""
    engine: Any = open_engine(spec)
    sampling = Sampling(max_tokens=24)

    async def dialogue() -> list[Reply]:
        first = engine.chat.first(({"role": "user", "content": "What is 2 + 2?"},))
        one = await engine.reply(first, (), sampling, 0)
        on = engine.chat.extend(first, one, ({"role": "user", "content": "Are you sure?"},))
        return [one, await engine.reply(on, (), sampling, 0)]

    return engine.model, asyncio.run(dialogue())


def is_generated(model: Any, reply: Reply) -> bool:
    prompt = torch.tensor([reply.prompt_ids])
    out = model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=24)
    return out[0, prompt.shape[1] :].tolist() == list(reply.token_ids)


def test_no_bar_of_the_reader_where_there_is_no_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    gguf_file.write(tmp_path / "m.gguf")
    capfd.readouterr()
    open_engine(spec(tmp_path / "m.gguf"))
    assert "tensors" not in capfd.readouterr().err


def test_the_model_in_the_file_is_the_model_that_plays(tmp_path: Path) -> None:
    written = gguf_file.write(tmp_path / "m.gguf")
    model, replies = two_turns(spec(tmp_path / "m.gguf"))
    ids = torch.tensor([[40, 50, 60]])
    torch.testing.assert_close(model(ids).logits, written(ids).logits)
    assert all(is_generated(model, reply) for reply in replies)


@pytest.mark.parametrize("tuning", [Tuning(), Tuning(lora=Lora(rank=4))])
def test_it_is_trained_whole_and_with_an_adapter_and_saved_as_a_plain_model(
    tmp_path: Path, tuning: Tuning, monkeypatch: pytest.MonkeyPatch
) -> None:
    gguf_file.write(tmp_path / "m.gguf")
    policies: list[Any] = []

    def step(self: Any, context: Any, config: Any) -> None:
        optimizer = torch.optim.SGD([p for p in context.policy.parameters() if p.requires_grad], lr=0.1)
        for _ in range(2):  # an adapter's first step moves only one of its matrices
            context.policy(torch.tensor([[40, 50, 60]])).logits.logsumexp(-1).sum().backward()
            optimizer.step()
        policies.append(context.policy)

    monkeypatch.setattr(type(score), "train", step)
    opened, config = spec(tmp_path / "m.gguf"), score.preset(Toy(), embedded=True)
    training = training_of(tmp_path, score, config, Toy(), "embedded", opened, 0, tuning)
    train(training, score, config, Toy(), (), opened, 0, tuning)
    left = AutoModelForCausalLM.from_pretrained(training.model)
    ids = torch.tensor([[70, 80, 90]])
    torch.testing.assert_close(left(ids).logits, policies[0](ids).logits, atol=1e-4, rtol=1e-4)
    _, replies = two_turns(replace(opened, path=str(training.model)))
    assert all(is_generated(left, reply) for reply in replies)


def test_its_content_tells_it_from_others_and_its_name_does_not(tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf", "c.gguf"):
        gguf_file.write(tmp_path / name)
    with (tmp_path / "c.gguf").open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(b"\0\0\0\0")
    a, b, c = (model_identity(spec(tmp_path / name)) for name in ("a.gguf", "b.gguf", "c.gguf"))
    assert a == b
    assert a["digest"] != c["digest"]
    assert (a["dtype"], a["attention"], a["context"]) == ("float32", "sdpa", 512)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("other", "Cannot open .*: name the model's own folder"),
        ("none", "There is no file"),
        ("junk", "Cannot open"),
    ],
)
def test_what_cannot_be_opened_is_one_sentence(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "m.gguf"
    if content == "other":
        gguf_file.write(file, architecture="mamba9")
    elif content == "junk":
        file.write_bytes(b"GGUF no more")
    with pytest.raises(UserError, match=says) as raised:
        open_engine(spec(file))
    assert "\n" not in str(raised.value)
    if content == "none":
        with pytest.raises(UserError, match=says):
            model_identity(spec(file))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no mallopt")
def test_memory_that_was_freed_is_used_again(tmp_path: Path) -> None:
    """A large tensor in the place of another one brings no new pages. Without the setting, 64 MB are 16,384 of them."""
    gguf_file.write(tmp_path / "m.gguf")
    code = f"""
import resource, torch
from scorebench.api.protocols import ModelSpec
from scorebench.engines.loading import load_model
def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.ones(1 << 24)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
first = pages()
load_model(ModelSpec({str(tmp_path / "m.gguf")!r}, "tiny", dtype="float32", device="cpu"))
pages()
print(first, pages())
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    before, after = map(int, out.split())
    assert after < before / 10
