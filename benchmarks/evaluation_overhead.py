"""What an evaluation takes beside its engine: `scorebench run` against the bare hf engine for the same tokens.

    python benchmarks/evaluation_overhead.py [--rounds 3]

`scorebench run --method base --task math` on embedded problems, in this process: dialogues, rendering, grading, the
store. The embedded model takes 3 ms for a dialogue, which no real model does; so a larger one is measured too. Imports
and the opening of the model are in neither time. The bare engine gets the same ids in the same order, as many dialogues
at once, and nothing is made of its replies. Both in turn; the ratio is of the medians.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.generation import random_model
from scorebench import embedded
from scorebench.api.types import Reply
from scorebench.dialogue.player import playing
from scorebench.evaluation.session import Session
from scorebench.evaluation.settings import Settings

Prompt = tuple[Any, ...]  # what an engine's `reply` is asked


def run(session: Session, seed: int) -> float:
    """Seconds of one run; of another seed, so that it is a run of its own. Greedy: the tokens are the same."""
    session.settings = session.settings.model_copy(update={"seed": seed})
    start = time.perf_counter()
    with contextlib.redirect_stderr(io.StringIO()):
        session.run()
    return time.perf_counter() - start


def record(session: Session, engine: Any) -> list[list[Prompt]]:
    """The prompts of every dialogue in a run, turn by turn, in the order in which the dialogues began."""
    prompts: dict[str, list[Prompt]] = {}
    answer = engine.reply

    async def reply(*asked: Any) -> Reply:
        prompts.setdefault(playing.get().problem.id, []).append(asked)
        return await answer(*asked)

    engine.reply = reply
    run(session, seed=1)
    engine.reply = answer
    return list(prompts.values())


def bare(engine: Any, dialogues: list[list[Prompt]]) -> tuple[float, int]:
    """Seconds that the engine takes by itself, and the tokens that it samples."""
    waiting = iter(dialogues)
    tokens = 0

    async def work() -> None:
        nonlocal tokens
        for prompts in waiting:
            for asked in prompts:
                reply = await engine.reply(*asked)
                tokens += reply.tokens

    async def play() -> None:
        await asyncio.gather(*(work() for _ in range(engine.at_once)))

    engine.forget()
    start = time.perf_counter()
    asyncio.run(play())
    return time.perf_counter() - start, tokens


def measure(settings: Settings, rounds: int) -> str:
    session = Session(settings)
    run(session, seed=0)  # opens the model
    assert session._opened is not None
    engine: Any = session._opened[1]
    dialogues = record(session, engine)
    ours: list[float] = []
    alone: list[float] = []
    tokens = 0
    for seed in range(2, 2 + rounds):
        ours.append(run(session, seed))
        seconds, tokens = bare(engine, dialogues)
        alone.append(seconds)
    whole, engine_only = statistics.median(ours), statistics.median(alone)
    told = (
        f"{len(dialogues)} dialogues, {tokens:,} tokens: scorebench run {whole:.2f} s, the engine {engine_only:.2f} s"
    )
    return f"{told}, ratio {whole / engine_only:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(method=["base"], task=["math"], out=Path(folder) / "results")
        print(f"the embedded model, {measure(settings, rounds)}")
        tokenizer = AutoTokenizer.from_pretrained(embedded.model_path("math"))
        random_model(len(tokenizer)).save_pretrained(Path(folder) / "model")
        tokenizer.save_pretrained(Path(folder) / "model")
        changes = {"model": str(Path(folder) / "model"), "data": Path("embedded"), "limit": 128, "max_tokens": 64}
        print(f"a random Llama of 3 million parameters, {measure(settings.model_copy(update=changes), rounds)}")


if __name__ == "__main__":
    main()
