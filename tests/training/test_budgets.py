"""All methods that train have one budget: replies, gradient steps, batch, learning rates. What differs is said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from scorebench.api import registry
from scorebench.api.protocols import ModelSpec, trains
from scorebench.methods.pair_sft import PairSFT
from scorebench.methods.score import offline, score, single_turn, star_stage2
from scorebench.methods.sft import SFT
from scorebench.methods.star import Star
from scorebench.training import presets
from scorebench.training.objective import Stage
from scorebench.training.presets import PAPER, Preset
from scorebench.training.sft import SFTConfig, share_of
from scorebench.training.trainer import train, training_of
from tests import tiny
from tests.toy import Toy
from tests.training.test_score import TINY

PRESETS = {"math": PAPER["math"], "mbpp": PAPER["mbpp"], "embedded": presets.EMBEDDED}
METHODS: list[Any] = [m for name in registry.names("method") if trains(m := registry.find("method", name))]


class OnTask(Toy):
    """The toy task, trained on as another one."""

    def __init__(self, trained_on: str) -> None:
        self.trained_on = trained_on


def config_of(method: Any, name: str) -> Any:
    return method.preset(OnTask("math" if name == "embedded" else name), embedded=name == "embedded")


def unfair(numbers: Preset, methods: Sequence[Any], configs: Sequence[Any]) -> list[str]:
    """What a reviewer would find: methods whose training costs or takes something else, and do not say why."""
    found = []
    for method, config in zip(methods, configs, strict=True):
        if config.replies != numbers.replies and not method.budget_note:
            found.append(f"{method.name} samples {config.replies} replies, not {numbers.replies}")
        if config.steps != numbers.steps and not method.budget_note:
            found.append(f"{method.name} takes {config.steps} gradient steps, not {numbers.steps}")
        parts = list(getattr(config, "stages", {"all": config}).values())
        rates = {
            p.learning_rate - (numbers.learning_rate if isinstance(p, Stage) else numbers.sft_learning_rate)
            for p in parts
        }
        if rates != {0.0}:
            found.append(f"{method.name} has another learning rate than its kind")
        batches = {p.batch for p in parts if isinstance(p, SFTConfig)}
        if batches - {numbers.batch}:
            found.append(f"{method.name} takes {batches} examples a step, not {numbers.batch}")
        if config.max_grad_norm != numbers.max_grad_norm:
            found.append(f"{method.name} clips at another norm")
    return found


@pytest.mark.parametrize("name", PRESETS)
def test_every_method_has_one_budget_or_says_why_not(name: str) -> None:
    assert len(METHODS) >= 13
    assert unfair(PRESETS[name], METHODS, [config_of(method, name) for method in METHODS]) == []
    said = {method.name for method in METHODS if method.budget_note}
    assert said == {"sft", "pair-sft", "pair-sft+", "score-three-turns"}
    for method in METHODS:  # of those that say so, all but sft and three turns sample as much as the others
        if method.name not in ("sft", "score-three-turns"):
            assert config_of(method, name).replies == PRESETS[name].replies, method.name


def planted(method: Any, **changes: Any) -> Any:
    config = config_of(method, "embedded")
    return config.model_copy(update=changes)


def test_a_planted_difference_is_found() -> None:
    numbers = presets.EMBEDDED
    with_384 = planted(score, samples=12)
    assert with_384.replies // with_384.steps == 384
    star = config_of(star_stage2, "embedded").stages["stage2"]
    stages = {**config_of(star_stage2, "embedded").stages, "stage2": star.model_copy(update={"learning_rate": 1e-5})}
    slow = planted(star_stage2, stages=stages)
    cases = [
        (score, with_384, f"{384 * numbers.steps} replies, not {256 * numbers.steps}"),
        (offline, planted(offline, problems=24), "replies"),
        (single_turn, planted(single_turn, problems=16), "replies"),
        (Star("star", plus=False), planted(Star("star", plus=False), steps=99), "99 gradient steps"),
        (Star("star", plus=False), planted(Star("star", plus=False), batch=64), "examples a step"),
        (star_stage2, slow, "learning rate"),
        (
            PairSFT("pair-sft", plus=False),
            planted(PairSFT("pair-sft", plus=False), learning_rate=1e-5),
            "learning rate",
        ),
        (score, planted(score, max_grad_norm=None), "clips"),
    ]
    for method, config, says in cases:
        (found,) = unfair(numbers, [method], [config])
        assert says in found


@pytest.mark.parametrize("total", [1, 7, 12800])
@pytest.mark.parametrize("parts", [1, 3, 4])
def test_rounds_add_up_to_the_budget(total: int, parts: int) -> None:
    sizes = [share_of(total, number, parts) for number in range(1, parts + 1)]
    assert sum(sizes) == total
    assert max(sizes) - min(sizes) <= 1


SMALL = TINY._replace(steps=4)
# method: replies, gradient steps, examples; none where they follow from what is sampled
MEASURED: list[tuple[Any, int, int | None]] = [
    (score, 128, 4),
    (offline, 128, 4),
    (single_turn, 128, 4),
    (star_stage2, 128, 4),
    (Star("star", plus=False), 128, 4),
    (Star("star+", plus=True), 128, 4),
    (PairSFT("pair-sft", plus=False), 128, None),
    (SFT(), 0, 6),
]


@pytest.mark.parametrize(("method", "replies", "steps"), MEASURED, ids=[m.name for m, *_ in MEASURED])
def test_what_a_training_took_stands_in_its_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: Any, replies: int, steps: int | None
) -> None:
    monkeypatch.setattr(presets, "MATH", SMALL)
    monkeypatch.setattr(presets, "PAPER", {"math": SMALL})
    tiny.model().save_pretrained(tmp_path / "base")
    tiny.tokenizer().save_pretrained(tmp_path / "base")
    spec = ModelSpec(str(tmp_path / "base"), "tiny", dtype="float32", device="cpu", batch_size=16)
    problems = Toy().load("train", None).problems  # type: ignore[arg-type]
    task = Gilded()
    config = method.preset(task, embedded=False)
    training = training_of(tmp_path, method, config, task, "embedded", spec, 0)
    train(training, method, config, task, problems, spec, 0)
    spent = json.loads((training.folder / "training.json").read_text())["spent"]
    assert spent["replies"] == config.replies == replies
    assert (spent["sampled_tokens"] > 0) == (replies > 0)
    assert steps is None or spent["gradient_steps"] == steps
    logged = [json.loads(line) for log in training.folder.rglob("steps.jsonl") for line in log.open()]
    assert spent["gradient_steps"] == len(logged)
    assert spent["examples"] == sum(row["examples"] for row in logged) > 0
    assert spent["watching_replies"] == (
        0 if isinstance(config, SFTConfig) else 32 if method is not single_turn else 64
    )


class Gilded(Toy):
    """The toy task with a solution for each problem."""

    def gold(self, problem: Any) -> str:
        return "ascii"
