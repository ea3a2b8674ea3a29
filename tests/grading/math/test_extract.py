"""The last stated answer is found, whatever its form, and whatever else the reply holds."""

from __future__ import annotations

from typing import Any

import pytest
from scorebench.grading.math.latex import clean

from scorebench.grading.math.extract import last_answer

FORM = "Final Answer: The final answer is ${}$. I hope it is correct."


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (FORM.format("5"), "5"),
        (r"Thus $x = 3$. " + FORM.format(r"\frac{1}{2}"), r"\frac{1}{2}"),
        ("Final Answer: The final answer is 5. I hope it is correct.", "5"),
        ("Final Answer: The final answer is $5$", "5"),
        ("Final Answer: The final answer is 3.5", "3.5"),
        ("The final answer is $5$. I hope it is correct.", "5"),
        ("**Final Answer:** The final answer is $5$. I hope it is correct.", "5"),
        ("**Final Answer**: $5$", "5"),
        ("## Final Answer\n\n$42$", "42"),
        ("final answer: 42", "42"),
        (r"Final Answer: The final answer is \(5\). I hope it is correct.", "5"),
        (r"Final Answer: The final answer is \[5\]. I hope it is correct.", "5"),
        ("Final Answer: The final answer is $$5$$. I hope it is correct.", "5"),
        (FORM.format(r"\boxed{7}"), "7"),
        (r"The final answer is: $\boxed{5}$", "5"),
        (FORM.format(r"\$20"), r"\$20"),
        (r"Final Answer: The final answer is \$20. I hope it is correct.", r"\$20"),
        ("Final Answer: The final answer is $5. I hope it is correct.", "5"),
        (FORM.format(r"\text{costs $5$}"), r"\text{costs $5$}"),
        ("The final answer is $x=1$ and $x=2$. I hope it is correct.", "x=1, x=2"),
        ("The final answer is $1$, $2$, or $3$.", "1, 2, 3"),
        ("The final answer is approximately $3.1$ cm.", "3.1"),
        ("The final answer is x = $5$. I hope it is correct.", "x = 5"),
        ("The final answer is Evelyn.", "Evelyn"),
        (FORM.format(r"\text{even}"), r"\text{even}"),
        ("Final Answer: even", "even"),
        (FORM.format("(1, 2)"), "(1, 2)"),
        (FORM.format("6") + "\nWait. " + FORM.format("5"), "5"),
    ],
)
def test_final_answer(reply: str, answer: str):
    found = last_answer(reply)
    assert found is not None
    assert (found.answer, found.rule) == (answer, "final-answer")


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (r"so it is \boxed{5}.", "5"),
        (r"my previous answer \boxed{6} was wrong, it is \boxed{5}", "5"),
        (r"\boxed{6}, or rather \fbox{5}", "5"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{[0, 1)}", "[0, 1)"),
        (r"$\boxed 2$.", "2"),
        (r"\boxed 12 and so on", "12"),
        (r"\boxed \pi", r"\pi"),
        ("\\boxed\n{5}", "5"),
        (r"\boxed{x = \boxed{5}}", "5"),
        (r"\boxed{5} \boxedish{6}", "5"),
        (r"I checked, so the final answer is correct. \boxed{3}", "3"),
    ],
)
def test_boxed(reply: str, answer: str):
    found = last_answer(reply)
    assert found is not None
    assert (found.answer, found.rule) == (answer, "boxed")


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (r"\boxed{6} " + FORM.format("5"), "5"),
        (FORM.format("6") + r" No, that was wrong: \boxed{5}", "5"),
        (r"The final answer is $\frac{1}{3}$. Or is it \boxed{\frac{1}{2}}?", r"\frac{1}{2}"),
    ],
)
def test_the_last_statement_counts_whichever_its_form(reply: str, answer: str):
    found = last_answer(reply)
    assert found is not None
    assert found.answer == answer


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "I do not know.",
        "It is $5$.",
        r"\boxed{}",
        r"\boxed{5",
        r"first \boxed{6}, then \boxed{5",
        r"first \boxed{6}, then \boxed{}",
        "Final Answer: The final answer is . I hope it is correct.",
        "Final Answer: The final answer is $$. I hope it is correct.",
        "We hope that the final answer is correct.",
        r"\boxed",
    ],
)
def test_nothing_is_stated(reply: str):
    assert last_answer(reply) is None


LONG = 50_000


@pytest.mark.parametrize(
    "reply",
    [
        "final answer is $" * LONG,
        "final answer: " * LONG,
        "Final Answer: The final answer is " + "{" * LONG,
        "final answer   \n" * LONG,
        "final answer is ****" * LONG,
        "final answer is a, " + "$1$ and " * LONG,
        "I hope it is" * LONG + " final answer is" * LONG,
        r"\boxed{" * LONG,
        r"\boxed{" + "{}" * LONG,
        r"\boxed" + " " * LONG + r"\boxed" * LONG,
        "final answer is " + r"\(" * LONG,
        "final answer is " + " " * LONG + "$",
    ],
    ids=range(12),
)
def test_time_is_linear(reply: str):
    """Megabytes of the worst kind; a quadratic search would take hours."""
    found = last_answer(reply)
    assert found is None or len(found.answer) <= len(reply)


def test_every_answer_of_math_is_read_back_from_its_solution(math_rows: list[dict[str, Any]]):
    read = [(row["unique_id"], last_answer(row["solution"]), row["answer"].strip()) for row in math_rows]
    wrong = [(name, found, answer) for name, found, answer in read if found is None or found.answer != answer]
    assert len(read) == 12_498
    assert wrong == []


@pytest.mark.parametrize(
    "form", [FORM, r"\boxed{{{}}}", r"Final Answer: The final answer is \({}\). I hope it is correct."]
)
def test_every_answer_of_math_is_read_back_from_the_prompted_form(math_rows: list[dict[str, Any]], form: str):
    wrong = []
    for answer in sorted({row["answer"] for row in math_rows}):
        found = last_answer("Let $x$ be \\boxed{0}. " + form.format(answer))
        if found is None or clean(found.answer) != clean(answer):
            wrong.append((answer, found))
    assert wrong == []
