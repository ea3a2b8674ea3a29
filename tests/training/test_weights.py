"""An adapter, bfloat16 and gradient checkpointing change what a training costs, and nothing of what it is."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from scorebench.api.errors import UserError
from scorebench.api.protocols import ModelSpec
from scorebench.evaluation.session import Session
from scorebench.evaluation.settings import Settings
from scorebench.methods.score import score, three_turns
from scorebench.training.logprobs import token_logprobs, token_stats
from scorebench.training.objective import Stage
from scorebench.training.optimizer import MasterAdam, adam, parameters
from scorebench.training.rollout import as_sequences
from scorebench.training.trainer import train, training_of
from scorebench.training.tuning import Lora, Tuning, tuning_from
from scorebench.training.update import UpdateStats, update
from scorebench.training.weights import frozen_copy, prepare, trained_weights
from tests import tiny
from tests.toy import Toy
from tests.training.test_score import STAGE2, TINY, context, rollout, short

LORA = Tuning(lora=Lora(rank=4))
PLAYED = {turns: rollout(tiny.model(), turns=turns) for turns in (2, 3)}
IDS = torch.randint(0, 260, (3, 20), generator=torch.Generator().manual_seed(0))
SHORT = short(score.build(TINY), 2)


@pytest.fixture(autouse=True)
def _any_rollout_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps here are taken on one rollout, also when the policy has moved on."""
    monkeypatch.setattr("scorebench.training.update._check_drift", lambda gap, dtype: None)


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits


def stepped(policy: Any, reference: Any, steps: int = 1, lr: float = 1e-2, stage: Stage = STAGE2) -> UpdateStats:
    """Steps on one rollout, which stays what it is."""
    played = PLAYED[stage.turns]
    optimizer = adam(policy, lr)
    stats = [update(policy, reference, optimizer, played, stage, [0.0] * stage.turns, 1.0, 400) for _ in range(steps)]
    return stats[-1]


@pytest.mark.parametrize("make", [tiny.model, tiny.tied])
def test_the_reference_is_the_policy_without_its_adapter(make: Any) -> None:
    base = make()
    policy, reference = prepare(make(), LORA, seed=0)
    assert torch.equal(logits(policy), logits(base))
    stats = stepped(policy, reference, steps=3)
    assert torch.equal(logits(reference), logits(base))
    assert (logits(policy) - logits(base)).abs().max() > 0.1
    assert stats.kl_T[0] > 0
    assert len({p.data_ptr() for p in policy.parameters()}) == len(list(policy.parameters()))  # one copy of each


def test_only_the_adapter_is_trained_and_stored() -> None:
    policy, reference = prepare(tiny.model(), LORA, seed=0)
    before = copy.deepcopy(policy.state_dict())
    stepped(policy, reference)
    changed = {name for name, tensor in policy.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all("lora" in name for name in changed)
    assert changed <= set(trained_weights(policy))
    assert sum(t.numel() for t in trained_weights(policy).values()) < sum(p.numel() for p in policy.parameters()) / 4


def test_an_adapter_has_the_dtype_of_its_model_and_float32_masters() -> None:
    """Else each of its products would convert the layer's whole input and output, which takes longer than the layer."""
    policy, _ = prepare(tiny.model().to(torch.bfloat16), LORA, seed=0)
    optimizer = adam(policy, 1e-3)
    assert isinstance(optimizer, MasterAdam)
    assert {weight.dtype for weight in optimizer.weights} == {torch.bfloat16}
    assert {master.dtype for master in optimizer.masters} == {torch.float32}


@pytest.mark.parametrize("tuning", [Tuning(), LORA])
def test_a_stage_may_be_held_to_the_policy_that_it_began_with(tuning: Tuning) -> None:
    policy, reference = prepare(tiny.model(), tuning, seed=0)
    base = logits(policy)
    for _ in range(2):  # two such stages, one after the other
        stepped(policy, reference)
        start = logits(policy)
        held = frozen_copy(policy)
        three = Stage(reward=(0, 0, 1), kl=(0.1, 0.1, 0.01), reference="start", steps=1, learning_rate=1e-2)
        stats = stepped(policy, held, stage=three)
        assert max(map(abs, stats.kl_T)) < 1e-5  # of the first step, before the policy had moved
        assert torch.equal(logits(held), start)
        assert not torch.equal(logits(policy), start)
        assert torch.equal(logits(reference), base)


def spec(folder: Path, model: Any, dtype: str = "float32") -> ModelSpec:
    model.save_pretrained(folder / "base")
    tiny.tokenizer().save_pretrained(folder / "base")
    return ModelSpec(str(folder / "base"), "tiny", dtype=dtype, device="cpu")


@pytest.mark.parametrize("make", [tiny.model, tiny.tied])
@pytest.mark.parametrize("tuning", [Tuning(), LORA])
def test_what_is_left_is_an_ordinary_model_with_the_weights_of_the_last_step(
    tmp_path: Path, make: Any, tuning: Tuning, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, policies = spec(tmp_path, make()), []
    monkeypatch.setattr(type(score), "train", lambda self, context, config: policies.append(trained(context)))

    def trained(context: Any) -> Any:
        stepped(context.policy, context.reference, steps=3)
        return context.policy

    training = training_of(tmp_path, score, SHORT, Toy(), "embedded", opened, 0, tuning)
    train(training, score, SHORT, Toy(), (), opened, 0, tuning)
    left = AutoModelForCausalLM.from_pretrained(training.model)
    assert "adapter" not in " ".join(path.name for path in training.model.iterdir())
    torch.testing.assert_close(logits(left), logits(policies[0]), atol=1e-4, rtol=1e-4)
    assert (logits(left) - logits(make())).abs().max() > 0.1


@pytest.mark.parametrize("method", [score, three_turns])
def test_a_whole_training_with_an_adapter_is_taken_up_to_the_same_weights(tmp_path: Path, method: Any) -> None:
    config = short(method.build(TINY), 2)

    def taught(name: str) -> Any:
        policy, reference = prepare(tiny.model(), LORA, seed=0)
        return dataclasses.replace(context(tmp_path / name), policy=policy, reference=reference)

    whole, cut, again = taught("whole"), taught("cut"), taught("cut")
    method.train(whole, config)
    method.train(cut, config)
    last = list(config.stages)[-1]
    (tmp_path / "cut" / last / "state.pt").unlink()  # as if killed before the last stage was first saved
    method.train(again, config)
    for name, tensor in trained_weights(whole.policy).items():
        assert torch.equal(tensor, trained_weights(again.policy)[name]), name
    assert (logits(whole.policy) - logits(whole.reference)).abs().max() > 1e-3


def test_gradient_checkpointing_changes_no_gradient_and_no_rollout() -> None:
    gradients, texts = [], []
    for on in (False, True):
        policy, reference = prepare(tiny.model(), Tuning(gradient_checkpointing=on), seed=0)
        computed = 0

        def count(*_: Any) -> None:
            nonlocal computed
            computed += 1

        policy.model.layers[0].mlp.register_forward_pre_hook(count)
        optimizer = torch.optim.SGD(policy.parameters(), lr=0.0)
        update(policy, reference, optimizer, PLAYED[2], STAGE2, [0.3, 0.1], 1.0, 100_000)
        assert computed == (2 if on else 1)
        gradients.append(torch.cat([p.grad.flatten() for p in policy.parameters()]))
        texts.append([e.attempts[1].reply.token_ids for e in rollout(policy).episodes])
    assert torch.equal(*gradients)
    assert texts[0] == texts[1]


@pytest.mark.parametrize("tuning", [Tuning(), LORA])
def test_a_step_in_bfloat16_is_the_float32_one_up_to_its_digits(tuning: Tuning) -> None:
    """The direction of the gradient is compared: a bfloat16 number has 8 bits, and the policy two layers."""
    directions, norms = [], []
    for dtype in (torch.float32, torch.bfloat16):
        policy, reference = prepare(tiny.model(sharpness=2.0).to(dtype), tuning, seed=0)
        adam(policy, 1e-3)  # that of a stage before, which must leave nothing behind
        optimizer = adam(policy, 1e-3)
        held = parameters(optimizer)
        before = [p.detach().clone() for p in held]
        stats = update(policy, reference, optimizer, PLAYED[2], STAGE2, [0.0, 0.0], 1.0, 300)
        assert all(p.dtype == torch.float32 for p in held)
        assert all(torch.isfinite(p).all() for p in policy.parameters())
        assert any(not torch.equal(p, was) for p, was in zip(held, before, strict=True))
        directions.append(torch.cat([p.grad.flatten() for p in held if p.grad is not None]))
        norms.append(stats.grad_norm)
    assert torch.cosine_similarity(*directions, dim=0) > 0.95
    assert norms[1] == pytest.approx(norms[0], rel=0.1)


def test_steps_too_small_for_bfloat16_add_up_and_survive_a_stop() -> None:
    """Adam's steps are about the learning rate: 40 of 1e-5 move a weight of 1 by 4e-4, a tenth of a bfloat16 digit."""
    policy, reference = prepare(tiny.model().to(torch.bfloat16), Tuning(), seed=0)
    optimizer = adam(policy, 1e-5)
    assert isinstance(optimizer, MasterAdam)
    played = rollout(tiny.model(), max_tokens=4, problems=2)
    first = [master.clone() for master in optimizer.masters]
    for _ in range(3):
        update(policy, reference, optimizer, played, STAGE2, [0.0, 0.0], 1.0, 10_000)
    moved = torch.cat([(a - b).flatten().abs() for a, b in zip(optimizer.masters, first, strict=True)])
    assert 1e-5 < moved.max() < 1e-4
    again = adam(policy, 1e-5)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for one, other in zip(again.masters, optimizer.masters, strict=True):  # type: ignore[attr-defined]
        assert torch.equal(one, other)
    for weight, master in zip(policy.parameters(), optimizer.masters, strict=True):
        assert torch.equal(weight, master.to(torch.bfloat16))


@pytest.mark.parametrize("kind", ["reinforcement learning", "fine-tuning"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_a_step_keeps_does_not_grow_with_the_vocabulary(dtype: torch.dtype, kind: str) -> None:
    """Bytes kept for the backward pass, in which the logits are computed again a chunk at a time."""
    kept = []
    played = PLAYED[2]
    for vocabulary in (260, 2600):
        torch.manual_seed(0)
        config = tiny.model().config.to_dict() | {"vocab_size": vocabulary}
        model: Any = LlamaForCausalLM(LlamaConfig(**config))
        policy, reference = prepare(model.to(dtype).eval(), LORA, seed=0)
        own = {p.data_ptr() for p in policy.parameters()}
        sizes: list[int] = []

        def note(tensor: torch.Tensor, own: set[int] = own, sizes: list[int] = sizes) -> torch.Tensor:
            if tensor.data_ptr() not in own:
                sizes.append(tensor.nbytes)
            return tensor

        sequences = as_sequences(played.episodes, policy.device)
        marked = sequences.turn_BL > 0
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            if kind == "fine-tuning":
                token_logprobs(policy, sequences.ids_BL, marked)
            else:
                token_stats(policy, reference, sequences.ids_BL, marked, 1.0)
        kept.append(sum(sizes))
    assert kept[1] == kept[0] > 0


def test_tuning_is_part_of_what_a_training_is_and_its_default_is_not_told(tmp_path: Path) -> None:
    opened = spec(tmp_path, tiny.model())
    tuning, own = tuning_from(["lora.rank=8", "stage2.alpha=5", "gradient_checkpointing=true"])
    assert (tuning.lora.rank, tuning.gradient_checkpointing, own) == (8, True, ["stage2.alpha=5"])
    assert tuning_from(["lora.targets=q_proj,v_proj"])[0].lora.targets == ("q_proj", "v_proj")
    with pytest.raises(UserError, match=r"there is no 'lora.r'; there are lora.rank"):
        tuning_from(["lora.r=8"])

    def name(tuning: Tuning) -> Any:
        return training_of(tmp_path, score, SHORT, Toy(), "embedded", opened, 0, tuning)

    assert name(Tuning()).identity["method"]["config"] == SHORT.model_dump()
    assert name(tuning).identity["method"]["config"]["lora"] == {"rank": 8}
    assert len({name(t).folder for t in (Tuning(), LORA, tuning)}) == 3


def test_layers_that_the_model_does_not_have_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"lora\.targets"):
        prepare(tiny.model(), Tuning(lora=Lora(rank=2, targets=("nowhere",))), seed=0)


def test_the_command_line_trains_an_adapter(tmp_path: Path) -> None:
    sets = ["lora.rank=4", "problems=4", "samples=2", "max_tokens=4"]
    sets += [f"{stage}.steps=1" for stage in ("stage1", "stage2")]
    settings = Settings(method=["score"], task=["math"], limit=2, out=tmp_path, max_tokens=4, set=sets)
    ((meta, episodes),) = Session(settings).run()
    assert meta["method"]["config"]["lora"] == {"rank": 4}
    assert len(episodes) == 2
