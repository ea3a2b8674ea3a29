"""Two-turn dialogues, tokens a second: the hf engine against `generate`, vLLM and transformers' continuous batching.

    python benchmarks/generation.py [--dialogues 256] [--model FILE.gguf --dtype bfloat16 --dialogues 64]
    python benchmarks/generation.py --vllm .venv-vllm/bin/python [...]

One random Llama of 3 million parameters in float32, or the model that is named; greedy, one thread. Prompts and replies
are of mixed length, and then all of one length: a reply ends at a limit of its own, as random weights know no end. Each
way plays the same dialogues; turn 2's prompt is turn 1's, the reply, and a request for another attempt. `generate`
plays them in batches in the order in which they arrive, as many at a time as the engine has places, and each batch to
its longest reply. Only wanted tokens count; seconds are processor time, which other load changes little. Continuous
batching is slow on a CPU, so it plays fewer dialogues and the random model alone, and ours then plays those alone.

`--vllm PYTHON` compares with vLLM in the place of both, in an environment of its own, as vLLM wants older packages;
`.ci/vllm` makes one for CPUs. It gets the same weights, the same number of places and one thread, keeps its prefix
cache on, and plays all first turns and then all second turns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from scorebench import embedded
from scorebench.api.protocols import ModelSpec
from scorebench.api.types import Sampling
from scorebench.engines.export import save_plain
from scorebench.engines.hf.engine import HFEngine
from scorebench.engines.loading import load_model, load_tokenizer

SLOTS = 32
FEW = 48  # dialogues for continuous batching
AGAIN = 24  # tokens of the request between the turns
LONGEST = 1024  # tokens of a dialogue, the random model's limit and vLLM's
EQUAL = 96, 64  # tokens of a question and of a reply, where all are of one length


@dataclass(frozen=True)
class Dialogue:
    """The ids of the question and of the request for another attempt, and how many tokens each reply has."""

    question: tuple[int, ...]
    again: tuple[int, ...]
    limits: tuple[int, int]


Replies = list[list[tuple[int, ...]]]  # of each dialogue, of each turn


def dialogues(count: int, vocabulary: int, equal: bool = False) -> list[Dialogue]:
    """Most replies are short and a few are long, as those of language models are; or all are `equal` in length."""
    rng = random.Random(0)

    def ids(length: int) -> tuple[int, ...]:
        return tuple(rng.randrange(8, vocabulary) for _ in range(length))

    def limit() -> int:
        return max(16, min(256, round(rng.lognormvariate(4.0, 0.7))))

    again = ids(AGAIN)
    if equal:
        return [Dialogue(ids(EQUAL[0]), again, (EQUAL[1], EQUAL[1])) for _ in range(count)]
    return [Dialogue(ids(rng.randrange(32, 193)), again, (limit(), limit())) for _ in range(count)]


def random_model(vocabulary: int) -> Any:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 256, "intermediate_size": 640, "num_hidden_layers": 4}
    config = LlamaConfig(vocab_size=vocabulary, num_attention_heads=4, max_position_embeddings=LONGEST, **sizes)
    config.eos_token_id = config.bos_token_id = None
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(4)  # choices that are no near ties
    return model


def ours(model: Any, tokenizer: Any, work: list[Dialogue]) -> tuple[Replies, float]:
    """The replies, and the share of turn 2's prompt tokens that went through the model."""
    engine = HFEngine(model, tokenizer, SLOTS)
    engine.ends = set()
    computed, asked = [0], [0]

    async def play(dialogue: Dialogue, places: asyncio.Semaphore) -> list[tuple[int, ...]]:
        async with places:
            one, two = (Sampling(max_tokens=limit) for limit in dialogue.limits)
            first = await engine.reply(dialogue.question, (), one, 0)
            second = await engine.reply(dialogue.question + first.token_ids + dialogue.again, (), two, 0)
        computed[0] += second.computed_tokens
        asked[0] += second.prompt_tokens
        return [first.token_ids, second.token_ids]

    async def all_of_them() -> Replies:
        places = asyncio.Semaphore(engine.at_once)
        return list(await asyncio.gather(*(play(dialogue, places) for dialogue in work)))

    return asyncio.run(all_of_them()), computed[0] / asked[0]


def generate(model: Any, prompts: list[tuple[int, ...]], limits: list[int]) -> list[tuple[int, ...]]:
    """One padded batch, decoded to the longest of its limits."""
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    out = model.generate(
        ids, attention_mask=mask, max_new_tokens=max(limits), do_sample=False, eos_token_id=None, pad_token_id=0
    )
    return [tuple(row[width : width + limit]) for row, limit in zip(out.tolist(), limits, strict=True)]


def in_batches(model: Any, work: list[Dialogue]) -> Replies:
    replies: Replies = []
    for start in range(0, len(work), SLOTS):
        batch = work[start : start + SLOTS]
        replies += both_turns(batch, lambda prompts, limits: generate(model, prompts, limits))
    return replies


def continuous(model: Any, work: list[Dialogue]) -> Replies:
    """All first turns, then all second turns, since it is asked for many at a time and answers when all are done."""
    from transformers import ContinuousBatchingConfig

    def many(prompts: list[tuple[int, ...]], limits: list[int]) -> list[tuple[int, ...]]:
        config = GenerationConfig(max_new_tokens=max(limits), do_sample=False, eos_token_id=-1, pad_token_id=0)
        memory = ContinuousBatchingConfig(num_blocks=1024, max_batch_tokens=512)
        manager = model.init_continuous_batching(generation_config=config, continuous_batching_config=memory)
        manager.start()
        for at, (prompt, limit) in enumerate(zip(prompts, limits, strict=True)):
            manager.add_request(list(prompt), request_id=str(at), max_new_tokens=limit)
        found: dict[str, tuple[int, ...]] = {}
        while len(found) < len(prompts):
            result = manager.get_result(timeout=60)
            assert result is not None, "continuous batching gave up"
            assert result.error is None, result.error
            found[result.request_id] = tuple(result.generated_tokens)
        manager.stop(block=True)
        return [found[str(at)] for at in range(len(prompts))]

    return both_turns(work, many)


def in_vllm(model: Any, dtype: str, python: str, works: list[list[Dialogue]]) -> Iterator[tuple[Replies, float]]:
    """What another Python with vLLM in it says of each work, and seconds of its processor time."""
    with tempfile.TemporaryDirectory() as folder:
        save_plain(model, Path(folder))
        # In one process, so that all of vLLM's time is counted; threads that are bound to no core.
        settings = {
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "OMP_NUM_THREADS": "1",
        }
        for at, work in enumerate(works):
            file = Path(folder, f"{at}.json")
            file.write_text(json.dumps([asdict(dialogue) for dialogue in work]), encoding="utf-8")
            words = [python, __file__, "--dtype", dtype, "--play", folder, str(file)]
            subprocess.run(words, env={**os.environ, **settings}, check=True, stdout=sys.stderr)
            found = json.loads(file.read_text(encoding="utf-8"))
            yield [[tuple(reply) for reply in dialogue] for dialogue in found["replies"]], found["seconds"]


def play_in_vllm(folder: str, dtype: str, file: Path) -> None:
    """In the Python that has vLLM: plays the dialogues of a file, and writes replies and seconds into it."""
    from vllm import LLM, SamplingParams  # type: ignore

    sizes = {"max_num_seqs": SLOTS, "max_model_len": LONGEST, "kv_cache_memory_bytes": 2 << 30}
    llm = LLM(folder, dtype=dtype, skip_tokenizer_init=True, enforce_eager=True, enable_prefix_caching=True, **sizes)

    def many(prompts: list[tuple[int, ...]], limits: list[int]) -> list[tuple[int, ...]]:
        wanted = [
            SamplingParams(temperature=0, max_tokens=limit, ignore_eos=True, detokenize=False) for limit in limits
        ]
        found = llm.generate([{"prompt_token_ids": list(p)} for p in prompts], wanted, use_tqdm=False)
        return [tuple(output.outputs[0].token_ids) for output in found]

    work = [Dialogue(tuple(d["question"]), tuple(d["again"]), tuple(d["limits"])) for d in json.loads(file.read_text())]
    both_turns(warm_up(work), many)
    llm.reset_prefix_cache()
    replies, seconds = timed(lambda: both_turns(work, many))
    file.write_text(json.dumps({"replies": replies, "seconds": seconds}), encoding="utf-8")


def both_turns(
    work: list[Dialogue], answer: Callable[[list[tuple[int, ...]], list[int]], list[tuple[int, ...]]]
) -> Replies:
    prompts = [dialogue.question for dialogue in work]
    first = answer(prompts, [dialogue.limits[0] for dialogue in work])
    prompts = [p + reply + d.again for p, reply, d in zip(prompts, first, work, strict=True)]
    second = answer(prompts, [dialogue.limits[1] for dialogue in work])
    return [list(pair) for pair in zip(first, second, strict=True)]


def warm_up(work: list[Dialogue]) -> list[Dialogue]:
    return [replace(dialogue, limits=(16, 16)) for dialogue in work[:4]]


def timed(play: Callable[[], Any]) -> tuple[Any, float]:
    """What is played, and seconds of processor time."""
    start = time.process_time()
    found = play()
    return found, time.process_time() - start


def same(ours: Replies, theirs: Replies) -> float:
    return sum(a == b for a, b in zip(ours, theirs, strict=True)) / len(ours)


def opened(path: str | None, dtype: str) -> tuple[Any, Any]:
    """The model and its tokenizer; without a path the random one, which has no tokens that end a reply."""
    if path is None:
        tokenizer = AutoTokenizer.from_pretrained(embedded.model_path("math"))
        return random_model(len(tokenizer)), tokenizer
    spec = ModelSpec(path, path, dtype=dtype, device="cpu")
    return load_model(spec), load_tokenizer(spec)


def tell(
    work: list[Dialogue], what: str, mine: tuple[Replies, float], name: str, theirs: tuple[Replies, float]
) -> None:
    """Prints wanted tokens a second of both, their ratio, and how many dialogues have the same tokens in both."""
    tokens = sum(sum(dialogue.limits) for dialogue in work)
    ours, rival = (tokens / seconds for _, seconds in (mine, theirs))
    told = f"ours {ours:,.0f} tokens a second, {name} {rival:,.0f}, ratio {ours / rival:.2f}"
    print(f"{len(work)} dialogues of {what} length: {told}")
    print(f"  dialogues with the same tokens: {same(mine[0], theirs[0]):.1%}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--dialogues", type=int, default=256)
    parser.add_argument("--model", help="a folder, a GGUF file or a name on the hub")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--vllm", metavar="PYTHON", help="compare with vLLM, which this interpreter has")
    parser.add_argument("--play", nargs=2, help=argparse.SUPPRESS)  # what this script calls in that interpreter
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.play:
        play_in_vllm(args.play[0], args.dtype, Path(args.play[1]))
        return
    model, tokenizer = opened(args.model, args.dtype)
    works = {
        "mixed": dialogues(args.dialogues, len(tokenizer)),
        "equal": dialogues(args.dialogues, len(tokenizer), equal=True),
    }
    ours(model, tokenizer, warm_up(works["mixed"]))
    rival = "vLLM" if args.vllm else "generate"
    if args.vllm:
        theirs = in_vllm(model, args.dtype, args.vllm, list(works.values()))
    else:
        in_batches(model, warm_up(works["mixed"]))
        theirs = (timed(partial(in_batches, model, work)) for work in works.values())
    for what, work in works.items():
        (mine, share), seconds = timed(partial(ours, model, tokenizer, work))
        tell(work, what, (mine, seconds), rival, next(theirs))
        print(f"  turn 2 computed {share:.1%} of its prompt tokens, the others were in the kept cache")
    if args.model or args.vllm:
        return
    few = works["mixed"][:FEW]
    (mine, _), seconds = timed(partial(ours, model, tokenizer, few))
    tell(few, "mixed", (mine, seconds), "continuous batching", timed(partial(continuous, model, few)))


if __name__ == "__main__":
    main()
