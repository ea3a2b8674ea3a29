"""A local engine and an endpoint that serves the same model give the same episodes, also where the context is short."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

import pytest
import torch

from scorebench.api.protocols import Engine
from scorebench.api.types import Episode, Problem, Sampling
from scorebench.dialogue.player import EpisodeRequest, Player
from scorebench.engines.hf.engine import HFEngine
from scorebench.engines.remote.endpoint import Options
from scorebench.engines.remote.openai import OpenAIEngine
from scorebench.methods.base import Base
from tests import tiny
from tests.failing_endpoint import Action, Call, FailingEndpoint, completion, refuses, says
from tests.toy import Toy


def model_of_plain_text() -> Any:
    """A random model that says letters and sometimes the end: a server's text loses nothing of them."""
    model = tiny.model()
    letters = torch.tensor([*tiny.tokenizer().encode("abcdefghijklmnopqrstuvwxyz"), 259])
    with torch.no_grad():
        kept = model.lm_head.weight[letters].clone()
        model.lm_head.weight.zero_()
        model.lm_head.weight[letters] = kept
        model.lm_head.weight[259] *= 2
    return model


def serving(model: Any, context: int) -> FailingEndpoint:
    """A server as vLLM's: it renders the messages anew each time, and refuses what does not fit."""
    tokenizer, one_at_a_time = tiny.tokenizer(), Lock()

    def plan(call: Call) -> Action:
        text = tokenizer.apply_chat_template(call.messages, tokenize=False, add_generation_prompt=True)
        ids, bound = tokenizer.encode(str(text)), call.body["max_tokens"]
        if len(ids) + bound > context:
            said = (
                f"This model's maximum context length is {context} tokens and your request has {len(ids)} input tokens"
            )
            return refuses(400, f"{said} ({bound} > {context} - {len(ids)}).", param="max_tokens")
        prompt = torch.tensor([ids])
        with one_at_a_time:
            out = model.generate(
                prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=bound, pad_token_id=0
            )
        sampled = out[0, len(ids) :].tolist()
        ended = "stop" if sampled[-1] == 259 else "length"
        said = tokenizer.decode(sampled, skip_special_tokens=True)
        return says(completion(said, ended, prompt=len(ids), sampled=len(sampled)))

    return FailingEndpoint(plan)


def episodes(engine: Engine, tokens: int) -> list[Episode]:
    jobs = [EpisodeRequest(Problem(str(i), f"say {i}" + "x" * (7 * i), "ascii"), 0) for i in range(12)]
    player = Player(Base(), Toy(), engine, Sampling(max_tokens=tokens), 2, 7, ThreadPoolExecutor(2))

    async def all_of_them() -> list[Episode]:
        return [episode async for episode in player.episodes(jobs, engine.at_once)]

    return sorted(asyncio.run(all_of_them()), key=lambda episode: int(episode.problem_id))


@pytest.mark.parametrize(("context", "tokens"), [(512, 24), (101, 40), (60, 40)])
def test_a_local_engine_and_an_endpoint_give_the_same_episodes(
    context: int, tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the second and third some replies are shortened; some second prompts, and some first ones, do not fit."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    model = model_of_plain_text()
    local = episodes(HFEngine(model, tiny.tokenizer(), slots=4, context=context), tokens)
    with serving(model, context).serving() as endpoint:
        remote = episodes(OpenAIEngine("m", Options(base_url=endpoint.url), 4), tokens)
    for here, there in zip(local, remote, strict=True):
        assert here.transcript == there.transcript
        for a, b in zip(here.attempts, there.attempts, strict=True):
            assert (a.reply.text, a.reply.finish_reason) == (b.reply.text, b.reply.finish_reason)
            assert (a.verdict.outcome, a.verdict.rule) == (b.verdict.outcome, b.verdict.rule)
            assert a.reply.tokens == b.reply.tokens
    rules = {a.verdict.rule for e in local for a in e.attempts}
    assert ("prompt-too-long" in rules) == (context == 60)
    reasons = {a.reply.finish_reason for e in local for a in e.attempts}
    assert reasons == {"stop", "length"}
