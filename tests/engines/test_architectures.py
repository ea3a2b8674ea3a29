"""Each architecture of transformers is played as `generate` plays it, or refused in one sentence.

The models are random and tiny (tests/architectures.py). Their windows and chunks are shorter than the prompts.
"""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import Any

import pytest
import torch

from scorebench.api.errors import UserError
from scorebench.api.types import Sampling
from scorebench.engines.hf.engine import HFEngine
from scorebench.engines.logits import decoder_of
from scorebench.training.logprobs import token_stats
from scorebench.training.update import _check_drift
from tests import tiny
from tests.architectures import PAGE, as_generated, build, counted, examine, listed, names

PLAYED: dict[str, dict[str, Any]] = {
    "mistral": {},  # a window, and no layer_types that say so
    "mixtral": {},
    "phi3": {},
    "starcoder2": {},
    "gemma3_text": {},  # windows in some layers, and two kinds of rotary frequencies
    "gpt_oss": {},  # windows, sinks, eager attention
    "llama4_text": {},  # chunks
    "deepseek_v3": {},  # latent attention
    "bloom": {},  # ALiBi
    "falcon": {"alibi": True},
    "gpt2": {},  # learned positions
    "granite": {},  # scales of the logits
    "cohere": {},
}


@pytest.mark.parametrize("name", PLAYED)
def test_an_architecture_is_played_as_generate_plays_it_and_its_logits_are_its_own(name: str) -> None:
    result = examine(name, **PLAYED[name])
    assert result.plays, result.said
    assert result.logits_gap is not None
    assert result.logits_gap <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_every_architecture_does_what_the_page_says(name: str) -> None:
    """One that the page says plays has to be built and to play; one that is refused has to be refused."""
    result, on_the_page = examine(name), listed()[name]
    assert result.kind == on_the_page.kind, result.row
    assert result.row.split("|")[:4] == on_the_page.row.split("|")[:4]
    assert result.logits_gap is None or result.logits_gap <= 1e-5


@pytest.mark.parametrize("name", ["mistral", "gpt2", "bloom", "mamba", "bart", "gemma4_assistant"])
def test_the_page_has_the_rows_that_the_script_writes(name: str) -> None:
    """Of some that play, of some that are refused, and of one that is not built."""
    assert examine(name).row in PAGE.read_text(encoding="utf-8").splitlines()


def test_the_page_has_every_architecture_and_counts_them() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = listed()
    assert counted(rows.values()) in page.splitlines()
    assert {result.kind for result in rows.values()} == {"plays", "refused", "not built tiny", "no forward pass"}
    if f"with transformers {'.'.join(version('transformers').split('.')[:2])}." not in page:
        pytest.skip("the page is of another version of transformers")
    assert sorted(rows) == names()


@pytest.mark.parametrize(("name", "says"), [("mamba", "recurrent state"), ("roberta", "other probabilities")])
def test_what_cannot_be_played_is_refused_in_one_sentence(name: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as raised:
        HFEngine(build(name), tiny.tokenizer(), slots=2)
    assert str(raised.value).count("\n") == 0
    assert "--engine vllm" in str(raised.value)


def test_weights_that_are_no_numbers_are_refused_at_the_start() -> None:
    model = tiny.model()
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(UserError, match="no numbers"):
        HFEngine(model, tiny.tokenizer(), slots=2)


def long_phi() -> Any:
    """Phi-3 whose positions have other frequencies in sequences of more than 64 tokens."""
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * 4, "long_factor": [4.0] * 4}
    also: dict[str, Any] = {"original_max_position_embeddings": 64, "sliding_window": None}
    return build("phi3", rope_parameters={**rope, "original_max_position_embeddings": 64}, **also)


def dynamic_llama() -> Any:
    rope = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}
    return build("llama", rope_parameters=rope, max_position_embeddings=128)


@pytest.mark.parametrize("model", [long_phi, dynamic_llama])
def test_a_reply_does_not_depend_on_how_long_its_neighbours_are(model: Any) -> None:
    """Prompts below, at and above the length at which Phi-3's frequencies change; replies grow beyond it."""
    made = model()
    prompts = [tuple(40 + (3 * i + k) % 60 for i in range(length)) for k, length in enumerate((3, 20, 57, 64, 65, 90))]

    def replies(engine: HFEngine, together: bool) -> list[tuple[int, ...]]:
        async def ask(prompt: tuple[int, ...]) -> tuple[int, ...]:
            first = await engine.reply(prompt, (), Sampling(max_tokens=16), 0)
            second = await engine.reply(prompt + first.token_ids + (50, 51, 52), (), Sampling(max_tokens=16), 0)
            return first.token_ids + second.token_ids

        async def all_of_them() -> list[tuple[int, ...]]:
            return list(await asyncio.gather(*map(ask, prompts))) if together else [await ask(p) for p in prompts]

        return asyncio.run(all_of_them())

    alone = replies(HFEngine(made, tiny.tokenizer(), slots=1), together=False)
    assert replies(HFEngine(made, tiny.tokenizer(), slots=6), together=True) == alone
    for prompt, reply in zip(prompts, alone, strict=True):
        assert list(reply[:16]) == as_generated(made, prompt)


@pytest.mark.parametrize("name", ["granite", "cohere", "gemma2", "llama4_text"])
def test_training_sees_the_probabilities_that_were_sampled_from(name: str) -> None:
    """With the scales and soft caps of the logits, in the gradient's log-probabilities too."""
    model = build(name)
    ids = torch.tensor([[40 + i % 60 for i in range(48)], [50 + i % 40 for i in range(48)]])
    replies = torch.zeros_like(ids, dtype=torch.bool)
    replies[0, 30:] = replies[1, 5:20] = True
    stats = token_stats(model, model, ids, replies, temperature=0.7)
    logp = (model(input_ids=ids).logits[:, :-1] / 0.7).log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
    torch.testing.assert_close(stats.logp_N, logp[replies[:, 1:]], atol=1e-5, rtol=1e-5)
    stats.logp_N.sum().backward()
    assert "forward" not in decoder_of(model).__dict__


def test_what_is_said_where_sampling_and_training_disagree_is_what_helps() -> None:
    with pytest.raises(UserError, match="take --engine hf if vLLM plays the rollouts, else --dtype float32"):
        _check_drift(1.0, torch.bfloat16)
    with pytest.raises(UserError, match=r"take --engine hf if vLLM plays the rollouts\.$"):
        _check_drift(1.0, torch.float32)
