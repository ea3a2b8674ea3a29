"""The hf engine says what model.generate says, whatever else is in its batch, and computes no prompt twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from scorebench.api.errors import PromptTooLongError
from scorebench.api.types import Message, Reply, Sampling
from scorebench.engines.hf.cached import CachedModel
from scorebench.engines.hf.engine import HFEngine
from scorebench.engines.hf.sampling import draw
from scorebench.engines.stops import cut_at_stop
from tests import tiny

GREEDY = Sampling(max_tokens=24)
WARM = Sampling(temperature=1.0, max_tokens=24)


def user(text: str) -> tuple[Message, ...]:
    return ({"role": "user", "content": text},)


def engine(kind: str = "llama", slots: int = 8) -> HFEngine:
    return HFEngine(tiny.model(kind), tiny.tokenizer(), slots)


def two_turns(made: HFEngine, count: int, sampling: Sampling, at_once: bool = True) -> list[tuple[Reply, Reply]]:
    async def dialogue(number: int) -> tuple[Reply, Reply]:
        first = made.chat.first(user(f"problem {'x' * (number % 7)} {number}"))
        one = await made.reply(first, (), sampling, seed=number)
        two = await made.reply(made.chat.extend(first, one, user("again")), (), sampling, seed=1000 + number)
        return one, two

    async def all_of_them() -> list[tuple[Reply, Reply]]:
        if at_once:
            return list(await asyncio.gather(*map(dialogue, range(count))))
        return [await dialogue(number) for number in range(count)]

    return asyncio.run(all_of_them())


@pytest.mark.parametrize("kind", ["llama", "qwen3", "gemma2"])
def test_greedy_replies_are_those_of_generate(kind: str) -> None:
    made = engine(kind)
    for one, two in two_turns(made, 20, GREEDY):
        for reply in (one, two):
            prompt = torch.tensor([reply.prompt_ids])
            expected = made.model.generate(
                prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=24, pad_token_id=0
            )
            assert list(reply.token_ids) == expected[0, prompt.shape[1] :].tolist()


def test_the_output_layer_gets_contiguous_states() -> None:
    """torch multiplies others row by row, with a copy of the layer's weights for each: most of a prefill's time."""
    made = engine()
    seen: list[bool] = []
    layer = made.model.get_output_embeddings()
    plain = layer.forward

    def spied(states: torch.Tensor) -> torch.Tensor:
        seen.append(states.is_contiguous())
        return plain(states)

    layer.forward = spied
    with torch.inference_mode():
        CachedModel(made.model, slots=2).forward(0, [[40, 41, 42], [50, 51, 52]], [0, 0], [3, 3])
    assert seen == [True]


def test_a_reply_does_not_depend_on_what_runs_beside_it() -> None:
    together = two_turns(engine(slots=8), 20, WARM)
    alone = two_turns(engine(slots=1), 20, WARM, at_once=False)
    assert [(a.token_ids, b.token_ids) for a, b in together] == [(a.token_ids, b.token_ids) for a, b in alone]
    assert len({a.token_ids for a, _ in together}) > 15  # and they are not all alike


def test_the_cache_holds_the_rows_that_were_needed_and_no_more() -> None:
    """Places for 256 dialogues cost no memory before so many dialogues are there, and replies do not change."""
    made, small = engine(slots=256), engine(slots=4)
    sampling = Sampling(temperature=1.0, max_tokens=12)

    def replies(made: HFEngine, count: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        return [(one.token_ids, two.token_ids) for one, two in two_turns(made, count, sampling)]

    few = replies(made, 5)
    (keys, *_) = made._cached.cache._tensors()
    assert keys.shape[0] == 16
    many = replies(made, 40)
    (keys, *_) = made._cached.cache._tensors()
    assert 40 <= keys.shape[0] <= 80
    assert (few, many) == (replies(small, 5), replies(small, 40))


def test_logprobs_are_those_of_a_plain_forward_pass() -> None:
    made = engine("gemma2")
    for one, two in two_turns(made, 6, WARM):
        for reply in (one, two):
            ids = torch.tensor([reply.prompt_ids + reply.token_ids])
            logp = made.model(ids).logits[0, reply.prompt_tokens - 1 : -1].log_softmax(-1)
            expected = logp.gather(-1, torch.tensor(reply.token_ids)[:, None])[:, 0]
            torch.testing.assert_close(torch.tensor(reply.logprobs), expected, atol=1e-4, rtol=0)


def test_turn_two_computes_only_what_is_new() -> None:
    for one, two in two_turns(engine(slots=4), 12, WARM):
        # The last sampled token was never fed, so it counts as new beside the glue.
        assert two.computed_tokens == two.prompt_tokens - (one.prompt_tokens + len(one.token_ids) - 1)
        assert two.prompt_ids[: one.prompt_tokens] == one.prompt_ids


def test_equal_prompts_are_computed_once() -> None:
    made = engine(slots=8)
    prompt = made.chat.first(user("the same"))

    async def samples() -> list[Reply]:
        return list(await asyncio.gather(*(made.reply(prompt, (), WARM, seed) for seed in range(8))))

    replies = asyncio.run(samples())
    assert made.computed_tokens == len(prompt) - 1
    assert len({r.token_ids for r in replies}) == 8


def test_sampling_follows_the_model_and_its_truncation() -> None:
    made = engine(slots=64)
    prompt = made.chat.first(user("?"))
    probs = made.model(torch.tensor([prompt])).logits[0, -1].detach().softmax(-1)
    top = probs.topk(3)

    async def many(sampling: Sampling) -> list[int]:
        return [
            r.token_ids[0] for r in await asyncio.gather(*(made.reply(prompt, (), sampling, s) for s in range(800)))
        ]

    drawn = asyncio.run(many(Sampling(temperature=1.0, max_tokens=1)))
    share = drawn.count(int(top.indices[0])) / 800
    p = top.values[0].item()
    assert abs(share - p) < 4 * (p * (1 - p) / 800) ** 0.5
    assert set(asyncio.run(many(Sampling(temperature=1.0, top_k=3, max_tokens=1)))) <= set(top.indices.tolist())
    assert set(asyncio.run(many(Sampling(temperature=1.0, top_p=1e-6, max_tokens=1)))) == {int(top.indices[0])}


def test_a_stop_string_ends_the_reply_before_it() -> None:
    made = engine()
    prompt = made.chat.first(user("stop"))
    whole = asyncio.run(made.reply(prompt, (), WARM, 3))
    word = whole.text[4:6]
    stopped = asyncio.run(made.reply(prompt, (), Sampling(temperature=1.0, max_tokens=24, stop=(word,)), 3))
    assert stopped.text == whole.text[: whole.text.index(word)]
    assert stopped.finish_reason == "stop"


def test_when_memory_runs_out_the_batch_is_halved_and_nothing_is_lost() -> None:
    expected = two_turns(engine(slots=8), 12, WARM)
    made = engine(slots=8)
    whole, calls = made._cached.forward, 0

    def failing(*args: object) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls in (3, 30):
            raise torch.OutOfMemoryError("out of memory")
        return whole(*args)  # type: ignore[arg-type]

    made._cached.forward = failing  # type: ignore[method-assign]
    got = two_turns(made, 12, WARM)
    assert made.slots == 2
    assert [(a.token_ids, b.token_ids) for a, b in got] == [(a.token_ids, b.token_ids) for a, b in expected]


def test_a_prompt_beyond_the_context_is_an_error_of_its_own_and_a_dialogue_beyond_it_is_cut_off() -> None:
    """The first is a matter of task and model, the second of a reply, which must not leave the denominator."""
    made = engine()
    with pytest.raises(PromptTooLongError, match="600 tokens, and the model's context 512"):
        asyncio.run(made.reply(tuple([5] * 600), user("long"), GREEDY, 0))
    messages: tuple[Message, ...] = (*user("q"), {"role": "assistant", "content": "a"}, *user("again"))
    reply = asyncio.run(made.reply(tuple([5] * 600), messages, GREEDY, 0))
    assert (reply.text, reply.finish_reason) == ("", "length")


def test_a_draw_is_always_a_token_that_can_be_drawn() -> None:
    """A uniform just below 1 becomes 1 in float32; the tokens at both ends of the vocabulary have probability 0."""
    logits = torch.full((3, 300), -torch.inf)
    logits[:, 100:200] = torch.linspace(0, 3, 100)
    highest = torch.tensor([1 - 2.0**-53, 0.0, 0.5], dtype=torch.float64)
    for sampling in (
        Sampling(temperature=1.0),
        Sampling(temperature=1.0, top_k=7),
        Sampling(temperature=1.0, top_p=0.3),
    ):
        chosen, logp = draw(logits, [sampling] * 3, highest.float())
        assert ((chosen >= 100) & (chosen < 200)).all()
        assert logp.isfinite().all()


def test_logits_that_are_no_numbers_are_an_error_of_that_dialogue_alone() -> None:
    made = engine(slots=8)
    whole = made._cached.forward

    def broken(first: int, ids: list[list[int]], *rest: Any) -> torch.Tensor:
        logits = whole(first, ids, *rest)
        for at, row in enumerate(made._rows[: made._live]):
            if row and row.sampling.max_tokens == 23 and len(ids[0]) == 1:
                logits[at] = torch.nan
        return logits

    made._cached.forward = broken  # type: ignore[method-assign]

    async def four() -> list[Any]:
        lengths = (24, 23, 24, 23)
        asked = (
            made.reply(made.chat.first(user(str(i))), (), Sampling(max_tokens=n), 0) for i, n in enumerate(lengths)
        )
        return await asyncio.gather(*asked, return_exceptions=True)

    a, b, c, d = asyncio.run(four())
    assert [type(r).__name__ for r in (a, b, c, d)] == ["Reply", "EngineError", "Reply", "EngineError"]
    assert "NaN" in str(b)


@pytest.mark.parametrize("where", ["swap", "copy", "forward"])
@pytest.mark.parametrize(
    "fault", [torch.OutOfMemoryError("out"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_memory_that_runs_out_anywhere_leaves_no_dialogue_waiting(where: str, fault: RuntimeError) -> None:
    """Also while rows are given their places, when they are in no queue any more."""
    expected = two_turns(engine(slots=8), 12, WARM)
    made, calls = engine(slots=8), 0
    on = made._cached if where == "forward" else made._cached.cache
    whole = getattr(on, where)

    def failing(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise fault
        return whole(*args)

    setattr(on, where, failing)
    if where == "copy":  # it is called for equal prompts
        prompt = made.chat.first(user("the same"))

        async def samples() -> list[Reply]:
            return list(await asyncio.gather(*(made.reply(prompt, (), WARM, seed) for seed in range(4))))

        assert len(asyncio.run(asyncio.wait_for(samples(), 60))) == 4
    else:
        got = two_turns(made, 12, WARM)
        assert [(a.token_ids, b.token_ids) for a, b in got] == [(a.token_ids, b.token_ids) for a, b in expected]
    assert made.slots == 4


@pytest.mark.parametrize("stop", [("<|user|>",), ("b",), ("bc",), ("zz", "c")])
def test_what_a_stop_string_ends_is_nowhere_in_turn_two(stop: tuple[str, ...]) -> None:
    """A special token can be a stop string; its tokens are not in the text, the next prompt or the cache."""
    made = engine()
    first = made.chat.first(user("?"))
    script = made.tokenizer.encode("aabc<|user|>d", add_special_tokens=False)
    says(made, len(first), script)

    async def dialogue() -> tuple[Reply, Reply]:
        sampling = Sampling(max_tokens=24, stop=stop)
        one = await made.reply(first, (), sampling, 0)
        return one, await made.reply(made.chat.extend(first, one, user("again")), (), sampling, 0)

    one, two = asyncio.run(dialogue())
    text = "aabc<|user|>d"
    expected = text[: min(at for word in stop if (at := text.find(word)) >= 0)]
    assert (one.text, one.finish_reason) == (expected, "stop")
    assert (
        made.tokenizer.decode(two.prompt_ids)
        == f"<|user|>?<|end|><|assistant|>{expected}<|end|><|user|>again<|end|><|assistant|>"
    )
    assert len(one.logprobs) == len(one.token_ids) < one.tokens
    assert two.computed_tokens == two.prompt_tokens - (one.prompt_tokens + len(one.token_ids))


def says(made: HFEngine, prompt: int, script: list[int]) -> None:
    """Makes the model say these tokens after a prompt of so many, whatever it would say."""
    whole = made._cached.forward

    def forward(first: int, ids: list[list[int]], starts: list[int], lengths: list[int]) -> torch.Tensor:
        logits = whole(first, ids, starts, lengths)
        for at, length in enumerate(lengths):
            if 0 <= length - prompt < len(script):
                logits[at, script[length - prompt]] = 1e4
        return logits

    made._cached.forward = forward  # type: ignore[method-assign]


def test_a_stop_string_inside_a_token_leaves_the_part_before_it() -> None:
    core = Tokenizer(models.WordLevel({"?": 0, "one": 1, "two\nthree": 2, "two": 3, "<|end|>": 4}, unk_token="?"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    made = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>")
    cut = cut_at_stop(made, [1, 2], ["\n"])
    assert cut == ("one two", (1, 3), 1)


def test_a_repetition_penalty_is_generates() -> None:
    made = engine()
    for one, two in two_turns(made, 6, Sampling(max_tokens=24, repetition_penalty=1.7)):
        for reply in (one, two):
            prompt = torch.tensor([reply.prompt_ids])
            expected = made.model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                do_sample=False,
                max_new_tokens=24,
                pad_token_id=0,
                repetition_penalty=1.7,
            )
            assert list(reply.token_ids) == expected[0, prompt.shape[1] :].tolist()
