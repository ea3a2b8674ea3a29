"""The vllm engine says what the hf engine says, token for token, and takes the weights that it is given."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psutil
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from scorebench.api.errors import PromptTooLongError, UserError
from scorebench.api.protocols import Engine, Source
from scorebench.api.types import Episode, Message, Reply, Sampling
from scorebench.dialogue.player import EpisodeRequest, Player
from scorebench.engines.hf.engine import HFEngine
from scorebench.engines.loading import load_model, load_tokenizer
from scorebench.methods.base import Base
from scorebench.tasks.math import task
from scorebench.training.logprobs import token_stats
from scorebench.training.rollout import as_sequences
from tests import tiny
from tests.toy import Toy
from tests.vllm.conftest import spec

DIALOGUES = 200
GREEDY = Sampling(max_tokens=96)
WARM = Sampling(temperature=1.0, max_tokens=96)


@pytest.fixture(scope="module")
def policy() -> Any:
    return load_model(spec())


@pytest.fixture(scope="module")
def hf(policy: Any) -> HFEngine:
    return HFEngine(policy, load_tokenizer(spec()), slots=64)


def user(text: str) -> tuple[Message, ...]:
    return ({"role": "user", "content": text},)


def dialogues(engine: Engine, sampling: Sampling, count: int, made_of: Any = task) -> list[Episode]:
    """Two-turn dialogues on the embedded test problems, in the order of the problems."""

    async def play() -> list[Episode]:
        player = Player(Base(), made_of, engine, sampling, 2, 0, ThreadPoolExecutor(2))
        jobs = [EpisodeRequest(problem, 0) for problem in problems]
        return [episode async for episode in player.episodes(jobs, at_once=64)]

    problems = made_of.load("test", Source("embedded")).problems[:count]
    place = {problem.id: at for at, problem in enumerate(problems)}
    return sorted(asyncio.run(play()), key=lambda episode: place[episode.problem_id])


def said(episodes: Sequence[Episode]) -> list[list[tuple[int, ...]]]:
    return [[attempt.reply.token_ids for attempt in episode.attempts] for episode in episodes]


def worst_gap(episodes: Sequence[Episode], model: Any, temperature: float) -> float:
    """Largest difference of an engine's log-probabilities from those that the trainer computes."""
    sequences = as_sequences(episodes, torch.device("cpu"))
    with torch.no_grad():
        stats = token_stats(model, model, sequences.ids_BL, sequences.turn_BL > 0, temperature)
    own = [logp for e in episodes for a in e.attempts for logp in a.reply.logprobs]
    return (stats.logp_N - torch.tensor(own)).abs().max().item()


def ask(engine: Engine, text: str, sampling: Sampling, seed: int = 0) -> Reply:
    assert engine.chat is not None
    return asyncio.run(engine.reply(engine.chat.first(user(text)), (), sampling, seed))


def test_greedy_replies_are_those_of_hf(
    math_engine: Any, hf: HFEngine, policy: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = dialogues(hf, GREEDY, DIALOGUES), dialogues(math_engine, GREEDY, DIALOGUES)
    same = sum(a == b for a, b in zip(said(ours), said(theirs), strict=True))
    gap = worst_gap(theirs, policy, 1.0)
    with capsys.disabled():
        print(f"\ngreedy: {same} of {DIALOGUES} two-turn dialogues token for token; log-probabilities to {gap:.1e}")
    assert same >= 0.99 * DIALOGUES
    assert gap < 1e-4
    replies = [(a.reply, b.reply) for x, y in zip(ours, theirs, strict=True) for a, b in zip(*both(x, y), strict=True)]
    equal = [(a, b) for a, b in replies if a.token_ids == b.token_ids]
    assert all((a.text, a.finish_reason, a.prompt_ids) == (b.text, b.finish_reason, b.prompt_ids) for a, b in equal)
    assert {b.finish_reason for _, b in equal} == {"stop"}


def both(one: Episode, other: Episode) -> tuple[Any, Any]:
    return one.attempts, other.attempts


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_logprobs_of_what_is_sampled_are_the_trainers(
    math_engine: Any, policy: Any, temperature: float, capsys: pytest.CaptureFixture[str]
) -> None:
    episodes = dialogues(math_engine, replace(WARM, temperature=temperature), 64)
    gap = worst_gap(episodes, policy, temperature)
    with capsys.disabled():
        print(f"\ntemperature {temperature}: log-probabilities of {len(episodes)} dialogues to {gap:.1e}")
    assert gap < 1e-4
    assert len({ids for dialogue in said(episodes) for ids in dialogue}) > 64  # they are sampled


def test_a_reply_depends_on_its_seed_and_not_on_what_runs_beside_it(math_engine: Any) -> None:
    together = said(dialogues(math_engine, WARM, 24))
    alone = said(dialogues(math_engine, WARM, 1))
    assert together[0] == alone[0]
    one = ask(math_engine, "what is 3+4?", WARM, seed=5)
    assert one == replace(ask(math_engine, "what is 3+4?", WARM, seed=5), computed_tokens=one.computed_tokens)
    assert len({ask(math_engine, "what is 3+4?", WARM, seed).token_ids for seed in range(8)}) > 1


def test_top_p_keeps_to_the_nucleus(math_engine: Any, policy: Any) -> None:
    prompt = math_engine.chat.first(user("what is 3+4?"))
    probs = policy(torch.tensor([prompt])).logits[0, -1].detach().softmax(-1).sort(descending=True)
    before = probs.values.cumsum(-1) - probs.values
    nucleus = set(probs.indices[before < 0.5].tolist())

    async def many() -> list[Reply]:
        sampling = Sampling(temperature=1.0, top_p=0.5, max_tokens=1)
        return list(await asyncio.gather(*(math_engine.reply(prompt, (), sampling, seed) for seed in range(100))))

    replies = asyncio.run(many())
    assert {reply.token_ids[0] for reply in replies} <= nucleus
    assert {reply.logprobs for reply in replies} == {()}  # vLLM knows them after truncation only
    assert ask(math_engine, "what is 3+4?", Sampling(temperature=1.0, top_k=1, max_tokens=1)).token_ids == (
        int(probs.indices[0]),
    )


def test_ends_and_limits_are_those_of_hf(math_engine: Any, hf: HFEngine) -> None:
    whole = ask(hf, "what is 3+4?", GREEDY)
    word = whole.text[8:10]
    samplings = [GREEDY, replace(GREEDY, max_tokens=3), replace(GREEDY, stop=("@@", word))]
    for sampling in samplings:
        ours, theirs = ask(hf, "what is 3+4?", sampling), ask(math_engine, "what is 3+4?", sampling)
        assert theirs == replace(ours, logprobs=theirs.logprobs, computed_tokens=theirs.computed_tokens)
        # A stop inside a token leaves ids that were not sampled, so that reply has no log-probabilities.
        assert len(theirs.logprobs) == len(ours.logprobs)
        assert theirs.tokens > 0
    long = tuple([5] * 5000)
    for engine in (math_engine, hf):
        with pytest.raises(PromptTooLongError, match="5,000 tokens"):
            asyncio.run(engine.reply(long, (), GREEDY, 0))


def test_a_prompt_that_goes_on_is_not_computed_again(math_engine: Any) -> None:
    """vLLM keeps whole blocks: of 128 tokens on a CPU."""
    prompt = math_engine.chat.first(user("3+4+" * 100))
    one = asyncio.run(math_engine.reply(prompt, (), GREEDY, 0))
    two = asyncio.run(math_engine.reply(math_engine.chat.extend(prompt, one, user("again")), (), GREEDY, 0))
    assert one.computed_tokens == one.prompt_tokens > 256
    assert two.computed_tokens <= two.prompt_tokens - 256


def test_what_vllm_cannot_sample_is_said(math_engine: Any) -> None:
    for temperature in (0.001, 2.5):
        with pytest.raises(UserError, match="temperatures"):
            ask(math_engine, "?", Sampling(temperature=temperature))


def tied(seed: int) -> Any:
    """A tiny model whose output matrix is its input one."""
    size = tiny.model().config.to_dict() | {"hidden_size": 128, "head_dim": 32, "tie_word_embeddings": True}
    torch.manual_seed(seed)
    made = LlamaForCausalLM(LlamaConfig(**size)).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(2.0)
    return made


def test_pushed_weights_are_in_force_and_dead_processes_are_noticed(tmp_path: Any) -> None:
    """Of a tied output matrix vLLM itself keeps the old weights on a CPU."""
    from scorebench.engines.vllm import open_engine

    models = [tied(seed) for seed in (0, 1)]
    models[0].save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    others = psutil.Process().children(recursive=True)
    engine = open_engine(spec(str(tmp_path), batch_size=32))
    sampling = Sampling(temperature=1.0, max_tokens=24)
    first = dialogues(engine, sampling, 16, Toy())
    asyncio.run(engine.push(models[1]))
    second = dialogues(engine, sampling, 16, Toy())
    assert worst_gap(first, models[0], 1.0) < 1e-4
    assert worst_gap(second, models[1], 1.0) < 1e-4
    assert worst_gap(second, models[0], 1.0) > 0.1

    own = [child for child in psutil.Process().children(recursive=True) if child not in others]
    for child in own:
        child.kill()
    with pytest.raises(UserError, match="have died"):
        dialogues(engine, sampling, 4, Toy())
    engine.close()
    assert own
    assert not psutil.wait_procs(own, timeout=30)[1]
