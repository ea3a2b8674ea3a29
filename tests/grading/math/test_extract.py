"""The answer of a reply is found, whatever its form and whatever else the reply holds."""

from __future__ import annotations

from typing import Any

import pytest

from scorebench.grading.math.extract import find_answer
from scorebench.grading.math.grader import grade
from scorebench.grading.math.normalise import normalise

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
        ("Final Answer: The final answer is $5. I hope it is correct.", "$5"),
        (FORM.format(r"\text{costs $5$}"), r"\text{costs $5$}"),
        ("The final answer is $x=1$ and $x=2$. I hope it is correct.", "x=1, x=2"),
        ("The final answer is $1$, $2$, or $3$.", "1, 2 or 3"),
        ("Final Answer: The answer is 42.", "42"),
        ("Final Answer - 5", "5"),
        ("The final answer is still 5.", "5"),
        ("The final answer is 5, as shown above", "5"),
        ("The final answer is:\n```\n5\n```", "5"),
        (r"The final answer is $\frac34$ or $0.75$.", r"\frac34 or 0.75"),
        ("The final answer is not $5$.", "not 5"),
        ("The final answer is $5$ (or $6$).", "5 or 6"),
        ("The final answer is 5 cm^2.", "5 cm^2"),
        ("The final answer is $25$%.", "25 %"),
        ("Final Answer: The largest $n$ is 34.", "34"),
        (FORM.format("5") + "\n\nProblem: What is 3+4?\n\nSolution: 7. " + FORM.format("7"), "5"),
        (FORM.format("5") + r" (Note: $\boxed{}$ is not used here.)", "5"),
        ("Final Answer: The final answer is 5\n\nExplanation: 2 and 3. The final answer is checked.", "5"),
        ("The final answer is approximately $3.1$ cm.", "3.1"),
        ("The final answer is x = $5$. I hope it is correct.", "x = $5"),
        ("The final answer is Evelyn.", "Evelyn"),
        (FORM.format(r"\text{even}"), r"\text{even}"),
        ("Final Answer: even", "even"),
        (FORM.format("(1, 2)"), "(1, 2)"),
        (FORM.format("6") + "\nWait. " + FORM.format("5"), "5"),
    ],
)
def test_final_answer(reply: str, answer: str):
    found = find_answer(reply)
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
        (r"\boxed{5} is the final answer: we checked it twice", "5"),
        (r"\boxed{5}. I was asked to put it \boxed in the end.", "5"),
        (r"The answer is \boxed{42}. The result is given within \boxed{} as you asked.", "42"),
        (r"first \boxed{6}, then \boxed{}", "6"),
        (r"\boxed{3}, \boxed{5}", "3, 5"),
        (r"The roots are $\boxed{3}$, $\boxed{5}$ and $\boxed{8}$.", "3, 5, 8"),
        (r"$x = \boxed{3}$ or $x = \boxed{5}$", "3 or 5"),
        (r"\boxed{5} \boxed{5}", "5"),
    ],
)
def test_boxed(reply: str, answer: str):
    found = find_answer(reply)
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
    found = find_answer(reply)
    assert found is not None
    assert found.answer == answer


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "<think>The answer is 5.",
        r"\boxed{6} <think>or \boxed{5}",
        "The answer is unknown.",
        "I do not know.",
        r"\boxed{}",
        r"\boxed{5",
        r"first \boxed{6}, then \boxed{5",
        "Final Answer: The final answer is . I hope it is correct.",
        "Final Answer: The final answer is $$. I hope it is correct.",
        "We hope that the final answer is correct.",
        r"\boxed",
    ],
)
def test_nothing_is_stated(reply: str):
    assert find_answer(reply) is None


@pytest.mark.parametrize(
    ("reply", "answer", "rule"),
    [
        ("The answer is 5.", "5", "answer-is"),
        ("Answer: 5", "5", "answer-is"),
        ("**Answer:** $5$", "5", "answer-is"),
        ("#### 5", "5", "answer-is"),
        ("<answer>5</answer>", "5", "answer-is"),
        ('{"reasoning": "9 times 9", "answer": "81"}', "81", "answer-is"),
        ("So $x=5$.", "x=5", "last-value"),
        ("The value of $x$ is $5$.", "5", "last-value"),
        ("So 5 is the value of $x$.", "5", "last-value"),
        ("It costs $5 a day, $35 a week.", "35", "last-value"),
        ("In total 3 + 4 = 7 apples.", "7", "last-value"),
        ("The solutions are $x=2$ and $x=3$.", "x=2, x=3", "last-value"),
        ("1. Add.\n2. Done.\nWe get 12 ways.", "12", "last-value"),
    ],
)
def test_what_is_not_stated_is_read_loosely(reply: str, answer: str, rule: str):
    found = find_answer(reply)
    assert found is not None
    assert (found.answer, found.rule, found.reading) == (answer, rule, "loose")


def test_the_reading_stands_in_the_verdict_and_strict_takes_the_first_rule_alone():
    assert grade(r"\boxed{5}", "5").reading == "stated"
    loose = grade("The answer is 5.", "5")
    assert (loose.outcome, loose.reading) == ("pass", "loose")
    strict = grade("The answer is 5.", "5", reading="strict")
    assert (strict.outcome, strict.answer, strict.reading) == ("fail", None, "none")
    assert grade(r"\boxed{5}", "5", reading="strict").outcome == "pass"
    assert grade("I do not know.", "5").reading == "none"


def test_a_stated_answer_goes_before_a_later_loose_one():
    assert grade(FORM.format("5") + " We know that the answer is 6.", "5").outcome == "pass"


def test_thoughts_are_no_part_of_a_reply():
    assert grade(r"<think>It may be \boxed{6}.</think> The answer is 5.", "5").outcome == "pass"
    assert grade(r"It may be \boxed{6}.</think> The answer is 5.", "6").outcome == "fail"


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
    found = find_answer(reply)
    assert found is None or len(found.answer) <= len(reply)


def test_every_answer_of_math_is_read_back_from_its_solution(math_rows: list[dict[str, Any]]):
    """22 solutions have two boxes, "12 and 18"; the data's answer is the last of them, where we read both."""
    read = [(row["unique_id"], find_answer(row["solution"]), row["answer"].strip()) for row in math_rows]
    wrong = [(name, found, answer) for name, found, answer in read if found is None or found.answer != answer]
    assert len(read) == 12_498
    assert len(wrong) == 22
    assert all(found and found.answer.endswith((f", {answer}", f" or {answer}")) for _, found, answer in wrong)


@pytest.mark.parametrize(
    "form", [FORM, r"\boxed{{{}}}", r"Final Answer: The final answer is \({}\). I hope it is correct."]
)
def test_every_answer_of_math_is_read_back_from_the_prompted_form(math_rows: list[dict[str, Any]], form: str):
    wrong = []
    for answer in sorted({row["answer"] for row in math_rows}):
        found = find_answer("Let $x$ be \\boxed{0}. " + form.format(answer))
        if found is None or normalise(found.answer) != normalise(answer):
            wrong.append((answer, found))
    assert wrong == []
