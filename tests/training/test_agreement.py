"""What samples is what is trained: an adapter arrives whole, and a drift stops the training before it moves."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from peft import LoraConfig
from transformers import AutoModelForCausalLM

from scorebench.api.errors import UserError
from scorebench.engines.export import save_plain
from scorebench.training.update import update
from tests import tiny
from tests.training.test_score import STAGE2, rollout


def test_a_policy_with_an_adapter_is_saved_as_an_ordinary_model(tmp_path: Path) -> None:
    policy = tiny.model("qwen3")
    policy.add_adapter(LoraConfig(r=4, target_modules=["q_proj", "down_proj", "lm_head"]), "policy")
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    before = copy.deepcopy(policy.state_dict())
    save_plain(policy, tmp_path)
    ids = torch.arange(40).view(2, 20)
    expected = policy(ids).logits
    torch.testing.assert_close(AutoModelForCausalLM.from_pretrained(tmp_path)(ids).logits, expected)
    assert (expected - tiny.model("qwen3")(ids).logits).abs().max() > 1
    assert all(torch.equal(tensor, policy.state_dict()[name]) for name, tensor in before.items())
    save_plain(policy, tmp_path)  # and once more, as after every step


def test_weights_that_did_not_arrive_stop_the_training_and_move_nothing() -> None:
    played = rollout(tiny.model())
    policy = tiny.model()
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    before = copy.deepcopy(policy.state_dict())
    optimizer = torch.optim.SGD(policy.parameters(), lr=1.0)
    with pytest.raises(UserError, match="disagree"):
        update(policy, tiny.model(), optimizer, played, STAGE2, [0.0, 0.0], 1.0, 10_000)
    assert all(torch.equal(tensor, policy.state_dict()[name]) for name, tensor in before.items())
