"""Thoughts are no part of a reply."""

import pytest

from scorebench.api.replies import without_thoughts


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("The answer is 5.", "The answer is 5."),
        ("<think>6?</think>5", "5"),
        ("<think>6?<think>7?</think>8?</think>5", "5"),
        ("6?</think>5", "5"),
        ("<THINKING>\n6?\n</Thinking>\n5", "\n5"),
        ("<think>6?</thinking>5", "5"),
        ("<reasoning>6</reasoning><answer>5</answer>", "<answer>5</answer>"),
        ("<think><reasoning>6</reasoning> 7", ""),
        ("4 <think>6 ... 5", ""),
        ("A <think>x</think>B <think>y</think>C", "A B C"),
        ("<|begin_of_thought|>6<|end_of_thought|>\n5", "\n5"),
        ("<|START_THINKING|>6<|END_THINKING|>5", "5"),
        ("[THINK]6[/THINK]5", "5"),
        ("◁think▷6◁/think▷5", "5"),
        ("<seed:think>6</seed:think>5", "5"),
        ("<|channel|>analysis<|message|>6<|end|><|start|>assistant<|channel|>final<|message|>5<|return|>", "5"),
        ("<|channel|>analysis<|message|>6", ""),
        ("analysisWe try 6.assistantfinalThe answer is 5.", "The answer is 5."),
        ("analysisWe try 6", ""),
        ("Use the mark `<think>` here. 5", "Use the mark `<think>` here. 5"),
    ],
)
def test_thoughts_are_no_part_of_a_reply(text: str, left: str) -> None:
    assert without_thoughts(text) == left


def test_marks_cost_linear_time() -> None:
    assert without_thoughts("<think>" * 20_000 + "<" * 100_000) == ""
