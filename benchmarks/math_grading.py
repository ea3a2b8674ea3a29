"""Math grading against Math-Verify called directly: pairs a second, in one run, ours and theirs in turn.

    python benchmarks/math_grading.py --data ../shared/data [--pairs 2000]

The pairs are answers of MATH: each with itself, and random ones with each other, half and half. Math-Verify parses and
verifies both sides in this process, as its own documentation has it. Ours is scorebench.grading.math.same_answer in
one thread, with its workers started and no pair asked twice. Also measured: what hostile answers cost.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from math_verify import LatexExtractionConfig, parse, verify

from scorebench.grading.math import grader as math_grading
from scorebench.grading.math.grader import same_answer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.grading.math.hostile import HOSTILE

Pair = tuple[str, str]


def answers_of_math(folder: Path) -> list[str]:
    answers = []
    for name in ("math500.jsonl.gz", "math_train12k.jsonl.gz"):
        with gzip.open(folder / name, "rt", encoding="utf-8") as lines:
            answers.extend(json.loads(line)["answer"] for line in lines)
    return [answer for answer in answers if answer]


def math_verify(pair: Pair) -> bool:
    gold, given = (parse(f"${answer}$", [LatexExtractionConfig()]) for answer in pair)
    return verify(gold, given)


def ours(pair: Pair) -> bool:
    return same_answer(*pair).passed


def pairs_a_second(grade: Callable[[Pair], bool], pairs: list[Pair]) -> tuple[float, list[bool]]:
    start = time.perf_counter()
    verdicts = [grade(pair) for pair in pairs]
    return len(pairs) / (time.perf_counter() - start), verdicts


def main() -> None:
    parser = argparse.ArgumentParser(description="Math grading against Math-Verify called directly.")
    parser.add_argument("--data", type=Path, required=True, help="the folder of math500.jsonl.gz and its train set")
    parser.add_argument("--pairs", type=int, default=2000)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)

    answers = answers_of_math(options.data)
    draw = random.Random(0)
    drawn = draw.sample(answers, options.pairs // 2)
    kinds = {
        "with themselves": [(answer, answer) for answer in drawn],
        "with each other": list(dict.fromkeys((draw.choice(answers), draw.choice(answers)) for _ in drawn)),
    }
    kinds["together"] = [pair for pairs in kinds.values() for pair in pairs]
    same_answer("x+1", "1+x")  # starts the workers
    math_verify(("x+1", "1+x"))

    print(f"{'pairs':<16}{'n':>7}{'ours/s':>10}{'Math-Verify/s':>15}{'ratio':>8}{'differ':>8}")
    for kind, pairs in kinds.items():
        math_grading._settle.cache_clear()  # nothing of an earlier line is remembered
        rate, verdicts = pairs_a_second(ours, pairs)
        their_rate, their_verdicts = pairs_a_second(math_verify, pairs)
        differ = sum(a != b for a, b in zip(verdicts, their_verdicts, strict=True))
        print(f"{kind:<16}{len(pairs):>7}{rate:>10.0f}{their_rate:>15.0f}{rate / their_rate:>8.1f}{differ:>8}")

    costs, outcomes = [], Counter()
    for answer in HOSTILE:
        for reference in ("x^2+1", "(1,2)", "7"):
            start = time.perf_counter()
            outcomes[same_answer(reference, answer).outcome] += 1
            costs.append(time.perf_counter() - start)
    cost = f"worst {max(costs):.2f} s, mean {sum(costs) / len(costs):.3f} s"
    print(f"hostile answers: {len(HOSTILE)}, {len(costs)} verdicts, {cost}, {dict(outcomes)}")


if __name__ == "__main__":
    main()
