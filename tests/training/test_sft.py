"""What the imitation baselines are taught is what their papers say, and can be read from the run."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from scorebench.api.chat import Chat
from scorebench.api.errors import UserError
from scorebench.methods.pair_sft import PairSFT
from scorebench.methods.score import ScoreConfig, star_stage2
from scorebench.methods.star import Star
from scorebench.training.sft import SFTConfig, fine_tune
from scorebench.training.trajectories import Example, Sample
from tests.training.test_score import CONFIG, context

IMITATION = SFTConfig(rounds=2, dialogues=128, samples=4, steps=8, batch=8, learning_rate=1e-3, max_tokens=6)
PLUS = IMITATION.model_copy(update={"plus": True})
PAIRS = IMITATION.model_copy(update={"rounds": 1, "steps": None, "epochs": 1})
STAR = Star("star", plus=False)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_star_learns_its_own_corrections_that_came_out_right(tmp_path: Path) -> None:
    Star("star", plus=False).train(context(tmp_path), IMITATION)
    for number in (1, 2):
        folder = tmp_path / f"round{number}"
        played = {(row["problem"], row["sample"]): row["attempts"] for row in read(folder / "dialogues.jsonl")}
        assert len(played) == 64
        examples = read(folder / "examples.jsonl")
        assert examples
        for example in examples:
            first, second = example["first"], example["second"]
            assert (first["passed"], second["passed"], first["turn"], second["turn"]) == (False, True, 1, 2)
            assert [first, second] == played[example["problem"], first["sample"]]  # of one rollout
            assert (example["prompt_ids"], example["token_ids"]) == (second["prompt_ids"], second["token_ids"])


def test_star_plus_adds_right_right_of_one_rollout(tmp_path: Path) -> None:
    Star("star+", plus=True).train(context(tmp_path), PLUS)
    examples = read(tmp_path / "round1" / "examples.jsonl")
    played = read(tmp_path / "round1" / "dialogues.jsonl")
    passed = [tuple(a["passed"] for a in row["attempts"]) for row in played]
    kinds = Counter(e["kind"] for e in examples)
    assert kinds == {"wrong-right": passed.count((False, True)), "right-right": passed.count((True, True))}
    assert json.loads((tmp_path / "round1" / "collected.json").read_text())["used"] == kinds
    assert min(kinds.values()) > 0
    for e in examples:
        assert (e["first"]["passed"], e["second"]["passed"]) == (e["kind"] == "right-right", True)
        assert e["first"]["sample"] == e["second"]["sample"]


@pytest.mark.parametrize("plus", [False, True])
def test_pair_sft_pairs_attempts_of_the_base_model_on_one_problem(tmp_path: Path, plus: bool) -> None:
    taught = context(tmp_path)
    PairSFT("pair-sft", plus).train(taught, PAIRS.model_copy(update={"plus": plus}))
    said = [(row["problem"], a) for row in read(tmp_path / "dialogues.jsonl") for a in row["attempts"]]
    examples = read(tmp_path / "examples.jsonl")
    wrong = [e for e in examples if e["kind"] == "wrong-right"]
    assert len(wrong) == len({(e["problem"], e["first"]["sample"], e["first"]["turn"]) for e in wrong}) > 0
    assert any(e["first"]["sample"] != e["second"]["sample"] for e in examples)
    assert {e["first"]["turn"] for e in examples} == {1, 2}
    assert (len(examples) > len(wrong)) == plus
    chat = Chat(taught.tokenizer)
    for e in examples:
        assert (e["problem"], e["first"]) in said
        assert (e["problem"], e["second"]) in said
        assert (e["first"]["passed"], e["second"]["passed"]) == (e["kind"] == "right-right", True)
        number = e["problem"].split("/")[1]
        before = chat.first(({"role": "user", "content": f"say {number}"},))
        after = chat.answer_ids("<|user|>again<|end|><|assistant|>")
        middle = e["prompt_ids"][len(before) : -len(after)]
        assert tuple(e["prompt_ids"]) == (*before, *middle, *after)
        assert middle in (e["first"]["token_ids"], [*e["first"]["token_ids"], chat.tokenizer.eos_token_id])


def test_imitation_raises_the_probability_of_what_is_imitated(tmp_path: Path) -> None:
    taught, said = context(tmp_path), Sample(0, 2, "ab", (1, 2, 3), (4, 5, 259), True)
    examples = [Example("p", "wrong-right", said, said, (1, 2, 3), (4, 5, 259))]
    fine_tune(taught, STAR, examples, IMITATION, tmp_path, 0)
    policy = taught.policy
    losses = [row["loss"] for row in read(tmp_path / "steps.jsonl")]
    logp = policy(torch.tensor([[1, 2, 3, 4, 5, 259]])).logits[0].log_softmax(-1)
    assert losses[-1] < losses[0] - 0.5
    assert -(logp[2, 4] + logp[3, 5] + logp[4, 259]).item() / 3 < losses[-1]


def test_the_loss_does_not_depend_on_the_token_budget(tmp_path: Path) -> None:
    weights = []
    for budget in (1, 10_000):
        taught = context(tmp_path / str(budget))
        Star("star", plus=False).train(taught, IMITATION.model_copy(update={"token_budget": budget}))
        weights.append(torch.cat([p.flatten() for p in taught.policy.parameters()]))
    torch.testing.assert_close(*weights, atol=1e-4, rtol=0)


def test_killed_between_rounds_it_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, cut, again = context(tmp_path / "whole"), context(tmp_path / "cut"), context(tmp_path / "cut")
    star = Star("star", plus=False)
    star.train(whole, IMITATION)
    monkeypatch.setattr("scorebench.methods.star.write_examples", dying(after=1))
    with pytest.raises(KeyboardInterrupt):
        star.train(cut, IMITATION)
    monkeypatch.undo()
    lines = (tmp_path / "cut" / "round2" / "dialogues.jsonl").read_bytes()
    (tmp_path / "cut" / "round2" / "dialogues.jsonl").write_bytes(lines[: len(lines) // 2])
    star.train(again, IMITATION)
    for name, tensor in whole.policy.state_dict().items():
        assert torch.equal(tensor, again.policy.state_dict()[name]), name


def dying(after: int) -> Any:
    from scorebench.training.trajectories import write_examples

    calls = 0

    def write(path: Path, examples: Any) -> Any:
        nonlocal calls
        if calls == after:
            raise KeyboardInterrupt
        calls += 1
        return write_examples(path, examples)

    return write


def test_nothing_to_imitate_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none of the sampled dialogues"):
        fine_tune(context(tmp_path), STAR, [], IMITATION, tmp_path, 0)


def test_stage_two_by_star_begins_from_stage_one(tmp_path: Path) -> None:
    config: ScoreConfig = CONFIG.model_copy(update={"stages": {"stage1": CONFIG.stages["stage1"], "stage2": IMITATION}})
    star_stage2.train(context(tmp_path), config)
    assert (tmp_path / "stage1" / "steps.jsonl").exists()
    assert read(tmp_path / "stage2" / "round2" / "examples.jsonl")
