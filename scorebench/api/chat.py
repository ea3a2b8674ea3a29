"""From messages to token ids, exactly: the one place where a chat template is rendered.

A dialogue is rendered once. When it goes on, the next prompt is the ids so far, the sampled ids, and the glue: what the
template puts between an answer and the next question, and that question. Earlier turns are never rendered again,
so the ids that a model is trained on are the ids that it sampled.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any

from scorebench.api.errors import UserError
from scorebench.api.types import Message, Reply

_MARK = "\u2063answer\u2063"  # stands for an answer while the glue behind it is looked up
_THOUGHT = "<think>a</think>b"


class Chat:
    """Renders dialogues for one tokenizer.

    A tokenizer without a chat template belongs to a base model: its dialogues are plain paragraphs. A template without
    a system role gets the system prompt at the head of the first user message.
    """

    def __init__(self, tokenizer: Any, system_prompt: str | None = None) -> None:
        self.tokenizer = tokenizer
        self.system_prompt = system_prompt
        self.glue_ids = lru_cache(maxsize=64)(self._glue_ids)

    def first(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        """The ids of a new dialogue, up to where the model's answer begins."""
        if self.tokenizer.chat_template:
            return self._encode(self._render(list(messages)))
        text = "\n\n".join(m["content"] for m in self._plain(list(messages))) + "\n\n"
        return tuple(self.tokenizer.encode(text, add_special_tokens=True))

    def extend(self, prompt_ids: tuple[int, ...], reply: Reply, messages: tuple[Message, ...]) -> tuple[int, ...]:
        """The ids of a dialogue that goes on: prompt, reply as sampled, glue with the new messages."""
        glue = self.glue_ids(tuple((m["role"], m["content"]) for m in messages))
        if reply.token_ids and glue and reply.token_ids[-1] == glue[0]:
            glue = glue[1:]  # the model has said the end of its turn itself
        return prompt_ids + reply.token_ids + glue

    def answer_ids(self, text: str) -> tuple[int, ...]:
        """Ids of an answer that was not sampled here: a given first attempt."""
        return self._encode(text)

    @cached_property
    def rewrites_history(self) -> bool:
        """Whether the template changes earlier answers when a dialogue goes on, as those that drop <think> do.

        Dialogues here keep what was sampled; a server that renders messages itself would show the model something else.
        """
        if not self.tokenizer.chat_template:
            return False
        history: list[Message] = [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": _THOUGHT},
            {"role": "user", "content": "q"},
        ]
        return _THOUGHT not in self._render(history)

    def _glue_ids(self, key: tuple[tuple[Any, str], ...]) -> tuple[int, ...]:
        new: list[Message] = [{"role": role, "content": content} for role, content in key]
        if not self.tokenizer.chat_template:
            return self._encode("\n\n" + "\n\n".join(m["content"] for m in new) + "\n\n")
        history: list[Message] = [{"role": "user", "content": "q"}, {"role": "assistant", "content": _MARK}]
        rendered = self._render(history + new)
        if rendered.count(_MARK) != 1:
            raise UserError(
                "The model's chat template does not show earlier answers to the model, so no answer can be corrected; "
                "use a model whose template keeps the history."
            )
        return self._encode(rendered.split(_MARK)[1])

    def _render(self, messages: list[Message]) -> str:
        from jinja2.exceptions import TemplateError

        system: list[Message] = [{"role": "system", "content": self.system_prompt}] if self.system_prompt else []
        options: dict[str, Any] = {"tokenize": False, "add_generation_prompt": True}
        try:
            return self.tokenizer.apply_chat_template(system + messages, **options)
        except TemplateError:
            if not system:
                raise
            return self.tokenizer.apply_chat_template(self._plain(messages), **options)

    def _plain(self, messages: list[Message]) -> list[Message]:
        if not self.system_prompt:
            return messages
        head: Message = {"role": messages[0]["role"], "content": f"{self.system_prompt}\n\n{messages[0]['content']}"}
        return [head, *messages[1:]]

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text, add_special_tokens=False))
