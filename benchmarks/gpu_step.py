"""One full step of SCoRe, both stages, on one GPU: memory and tokens a second of rollout and of update.

    python benchmarks/gpu_step.py [--problems 64] [--samples 8] [--max-tokens 256] [--rank 16] [--out FILE]
    python benchmarks/gpu_step.py --tiny                       # the same on a CPU in seconds, to see that it runs

The model has the architecture and the size of Qwen2.5-0.5B and random weights, in bfloat16, with an adapter. Random
weights hardly ever end a turn, so nearly every reply has --max-tokens tokens. On a GPU times are those of torch's own
events and memory is the peak that torch allocated; a first, small step that loads kernels is not measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, Qwen2Config

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from scorebench.api.types import Problem, Sampling
from scorebench.dialogue.player import Player
from scorebench.engines.hf.engine import HFEngine
from scorebench.methods.score import score
from scorebench.training.objective import Stage
from scorebench.training.optimizer import adam
from scorebench.training.rollout import collect
from scorebench.training.tuning import Lora, Tuning
from scorebench.training.update import update
from scorebench.training.weights import prepare
from tests import tiny
from tests.toy import Toy

STAGES = {
    "stage1": Stage(reward=(0, 1), kl=(0.1, 0.01), steps=1, learning_rate=5e-5),
    "stage2": Stage(reward=(1, 1), kl=(0.01, 0.01), alpha=10, steps=1, learning_rate=5e-5),
}
QWEN: dict[str, Any] = {
    "vocab_size": 151936,
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
}
TINY: dict[str, Any] = QWEN | {"vocab_size": 512, "hidden_size": 56, "intermediate_size": 304, "num_hidden_layers": 2}


@dataclass
class Part:
    """A rollout or an update: seconds, sampled tokens a second, and the most memory that was allocated (GiB)."""

    name: str
    seconds: float = 0.0
    tokens_per_second: float = 0.0
    peak_gib: float = 0.0

    @contextmanager
    def measured(self, device: str) -> Iterator[None]:
        if device == "cpu":
            start = time.perf_counter()
            yield
            self.seconds = time.perf_counter() - start
            return
        torch.cuda.reset_peak_memory_stats()
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        yield
        end.record()
        torch.cuda.synchronize()
        self.seconds = begin.elapsed_time(end) / 1000
        self.peak_gib = torch.cuda.max_memory_allocated() / 2**30


class Bench:
    """The policy in training, and what a step of it needs."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.device = "cuda" if torch.cuda.is_available() and not args.tiny else "cpu"
        sizes = TINY if args.tiny else QWEN
        config = Qwen2Config(**sizes, tie_word_embeddings=True, eos_token_id=259, pad_token_id=0)  # type: ignore[arg-type]
        torch.manual_seed(0)
        with torch.device(self.device):
            model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
        self.size = sum(p.numel() for p in model.parameters())
        tuning = Tuning(lora=Lora(rank=args.rank), gradient_checkpointing=args.gradient_checkpointing)
        self.policy, self.reference = prepare(model, tuning, seed=0)
        self.engine = HFEngine(self.policy, tiny.tokenizer(), args.slots)
        self.graders = ThreadPoolExecutor(4)

    def step(self, name: str, stage: Stage, problems: int, max_tokens: int) -> list[Part]:
        rollout_part, update_part = Part(f"{name} rollout"), Part(f"{name} update")
        optimizer = adam(self.policy, stage.learning_rate)
        sampling = Sampling(temperature=1.0, max_tokens=max_tokens)
        player = Player(score, Toy(), self.engine, sampling, stage.turns, 0, self.graders)
        asked = [Problem(f"train/{i}", f"say {i}", "ascii") for i in range(problems)]
        with rollout_part.measured(self.device):
            played = asyncio.run(collect(player, asked, self.args.samples))
        self.engine.forget()  # its cache makes room for the update, as in a training
        with update_part.measured(self.device):
            arguments = (stage, [0.0] * stage.turns, 1.0, self.args.token_budget)
            update(self.policy, self.reference, optimizer, played, *arguments)
        tokens = sum(a.reply.tokens for e in played.episodes for a in e.attempts)
        for part in (rollout_part, update_part):
            part.tokens_per_second = tokens / part.seconds
        return [rollout_part, update_part]


def main() -> None:
    parser = argparse.ArgumentParser(description="One full step of SCoRe on one GPU.")
    parser.add_argument("--problems", type=int, default=64)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--slots", type=int, default=256, help="dialogues decoded at once")
    parser.add_argument("--rank", type=int, default=16, help="of the adapter; 0 trains all weights")
    parser.add_argument("--token-budget", type=int, default=8192)
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--tiny", action="store_true", help="a tiny model on the CPU, 4 x 2 dialogues of 8 tokens")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    args = parser.parse_args()
    if args.tiny:
        args.problems, args.samples, args.max_tokens = 4, 2, 8
    bench = Bench(args)
    where = torch.cuda.get_device_name() if bench.device == "cuda" else "CPU"
    print(f"{bench.size / 1e6:.1f} M weights in bfloat16, rank {args.rank}, torch {torch.__version__} on {where}")
    print(f"{args.problems} problems x {args.samples} dialogues x 2 turns of at most {args.max_tokens} tokens")
    bench.step("warm-up", STAGES["stage1"], problems=2, max_tokens=8)
    parts = [p for name, s in STAGES.items() for p in bench.step(name, s, args.problems, args.max_tokens)]
    for part in parts:
        memory = f"{part.peak_gib:6.2f} GiB" if bench.device == "cuda" else "not measured"
        print(f"{part.name:15} {part.seconds:8.2f} s  {part.tokens_per_second:10,.0f} tokens/s  peak {memory}")
    if args.out:
        about = {"device": where, "torch": torch.__version__, "weights": bench.size, "arguments": vars(args)}
        figures = {"about": about, "parts": [vars(part) for part in parts]}
        args.out.write_text(json.dumps(figures, indent=2, default=str) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
