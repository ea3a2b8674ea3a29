"""Writes tests/formats/files/inspect: real evaluations of Inspect's, of a model that answers from a list.

    pip install inspect-ai==0.3.285
    python -m tests.formats.made_by.inspect_logs tests/formats/files/inspect

Three word problems of two turns, two epochs.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import sys
from pathlib import Path

from tests.formats.made_by.lm_eval_samples import QUESTIONS, REPLIES

SECOND = "Final Answer: The final answer is $15$. I hope it is correct."


class Words:
    """In the place of a tokenizer that Inspect would download, to count the tokens of the model that it mocks."""

    def encode(self, text: str, **options: object) -> list[str]:
        return text.split()


def main(target: Path) -> None:
    import tiktoken

    tiktoken.get_encoding = lambda name: Words()

    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ChatMessageUser, ModelOutput, get_model
    from inspect_ai.scorer import includes
    from inspect_ai.solver import Generate, TaskState, generate, prompt_template, solver

    @solver
    def again():
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            state.messages.append(ChatMessageUser(content="There might be an error. Answer again."))
            return await generate(state)

        return solve

    first = dict(zip(QUESTIONS, REPLIES, strict=True))

    def answer(messages, tools, choice, config):
        asked = next(question for question in QUESTIONS if question in messages[0].text)
        return ModelOutput.from_content("mockllm/model", first[asked] if len(messages) == 1 else SECOND)

    samples = [Sample(input=question, target=target_) for question, target_ in QUESTIONS.items()]
    task = Task(
        dataset=samples,
        solver=[prompt_template("Answer this question.\n\n{prompt}"), generate(), again()],
        scorer=includes(),
        epochs=2,
        name="sums",
    )
    model = get_model("mockllm/model", custom_outputs=answer)
    eval(task, model=model, log_dir=str(target), log_format="eval", display="none")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
