"""From messages to token ids, exactly: the one place where a chat template is rendered.

A dialogue is rendered once. When it goes on, the next prompt is the ids so far, the sampled ids, and the glue: what the
template puts between an answer and the next question, and that question. Earlier turns are never rendered again,
so the ids that a model is trained on are the ids that it sampled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any

from scorebench.api.errors import UserError
from scorebench.api.types import Message, Reply

# The date that templates with a clock in them are given, so that a prompt is the same on every day.
FROZEN_DATE = datetime(2024, 7, 26)

_QUESTION = "\u2063question\u2063"  # stand for a text while what the template puts around it is looked up
_ANSWER = "\u2063answer\u2063"
_THOUGHT = "<think>a</think>b"


class Chat:
    """Renders dialogues for one tokenizer.

    A tokenizer without a chat template belongs to a base model: its dialogues are plain paragraphs. A template without
    a system role gets the system prompt at the head of the first user message.

    template_args: what the template is given beside the messages, such as enable_thinking.
    ends: ids by which the model ends its turn; the tokenizer's own where none are named.
    """

    def __init__(
        self,
        tokenizer: Any,
        system_prompt: str | None = None,
        template_args: Mapping[str, Any] | None = None,
        ends: Collection[int] = (),
    ) -> None:
        self.tokenizer = tokenizer
        self.system_prompt = system_prompt
        self.template_args = dict(template_args or {})
        self.ends = set(ends) or {tokenizer.eos_token_id}
        self._check_args()
        self.glue_ids = lru_cache(maxsize=64)(self._glue_ids)

    def _check_args(self) -> None:
        template = self.tokenizer.get_chat_template() if self.has_template else ""
        for name in self.template_args:
            if name not in template:
                raise UserError(
                    f"The model's chat template does not know {name!r}, so it would change nothing; leave out "
                    f"--{name.replace('_', '-') if name == 'enable_thinking' else 'chat-template-args ' + name}."
                )

    def first(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        """The ids of a new dialogue, up to where the model's answer begins."""
        if self.has_template:
            return self._encode(self._render(list(messages)))
        text = "\n\n".join(m["content"] for m in self._plain(list(messages))) + "\n\n"
        return tuple(self.tokenizer.encode(text, add_special_tokens=True))

    def extend(self, prompt_ids: tuple[int, ...], reply: Reply, messages: tuple[Message, ...]) -> tuple[int, ...]:
        """The ids of a dialogue that goes on: prompt, reply as sampled, glue with the new messages."""
        glue = self.glue_ids(tuple((m["role"], m["content"]) for m in messages))
        if reply.token_ids and reply.token_ids[-1] in self.ends:
            glue = glue[self._end_of_turn(glue) :]  # the model has said the end of its turn itself
        return prompt_ids + reply.token_ids + glue

    def answer_ids(self, text: str) -> tuple[int, ...]:
        """Ids of an answer that was not sampled here: a given first attempt."""
        return self._encode(text)

    @property
    def has_template(self) -> bool:
        """Whether the tokenizer has a chat template; without one a dialogue is plain paragraphs."""
        return bool(self.tokenizer.chat_template)

    @cached_property
    def rewrites_history(self) -> bool:
        """Whether the template changes earlier answers when a dialogue goes on, as those that drop <think> do.

        Dialogues here keep what was sampled. A server that renders messages itself shows the model something else.
        """
        if not self.has_template:
            return False
        history: list[Message] = [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": _THOUGHT},
            {"role": "user", "content": "q"},
        ]
        return _THOUGHT not in self._render(history)

    @cached_property
    def _template(self) -> str:
        """The chat template; where it asks for the date, with a clock of our own that stands still."""
        template = self.tokenizer.get_chat_template()
        if "strftime_now" not in template:
            return template
        filters = "".join(f" | replace('%{code}', '{FROZEN_DATE.strftime(f'%{code}')}')" for code in "YmdyBbAaHMSIpje")
        return f"{{%- macro strftime_now(form) -%}}{{{{ form{filters} }}}}{{%- endmacro -%}}{template}"

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What of the template can change a prompt: its digest, its arguments, the date where it asks for one."""
        if not self.has_template:
            return {"template": None}
        template = self.tokenizer.get_chat_template()
        date = {"date": FROZEN_DATE.date().isoformat()} if "strftime_now" in template else {}
        return {
            "template": hashlib.sha256(template.encode()).hexdigest()[:16],
            **({"args": self.template_args} if self.template_args else {}),
            **date,
        }

    def _glue_ids(self, key: tuple[tuple[Any, str], ...]) -> tuple[int, ...]:
        new: list[Message] = [{"role": role, "content": content} for role, content in key]
        if not self.has_template:
            return self._encode("\n\n" + "\n\n".join(m["content"] for m in new) + "\n\n")
        history: list[Message] = [{"role": "user", "content": "q"}, {"role": "assistant", "content": _ANSWER}]
        rendered = self._render(history + new)
        if rendered.count(_ANSWER) != 1:
            raise UserError(
                "The model's chat template does not show earlier answers to the model, so no answer can be corrected; "
                "use a model whose template keeps the history."
            )
        return self._encode(rendered.split(_ANSWER)[1])

    def _end_of_turn(self, glue: tuple[int, ...]) -> int:
        """How many ids at the beginning of the glue are the end of the answer's turn: space, and the mark of the end.

        The mark need not be the one that the model sampled: a template may write <|end|> where the model says
        <|return|>, or a space before it. A template without such a mark has none to be left out.
        """
        specials = set(self.tokenizer.all_special_ids) | self.ends | self._added
        at = next((i for i, token in enumerate(glue) if token in specials), None)
        if at is None or self.tokenizer.decode(glue[:at]).strip():
            return 0
        return at + 1 if glue[at] in self.ends or glue[at] == self._closing else 0

    @cached_property
    def _added(self) -> set[int]:
        return {i for i, token in getattr(self.tokenizer, "added_tokens_decoder", {}).items() if token.special}

    @cached_property
    def _closing(self) -> int | None:
        """The special token that closes a user's message, if it is not one that opens messages too.

        A template that closes its messages closes those of both sides with the same mark.
        """
        if not self.has_template:
            return None
        before, _, after = self._render([{"role": "user", "content": _QUESTION}]).partition(_QUESTION)
        specials = set(self.tokenizer.all_special_ids) | self._added
        first = next((i for i in self._encode(after) if i in specials), None)
        opening = [i for i in self._encode(before) if i in specials and i != self.tokenizer.bos_token_id]
        return None if opening[:1] == [first] else first

    def _render(self, messages: list[Message]) -> str:
        from jinja2.exceptions import TemplateError

        system: list[Message] = [{"role": "system", "content": self.system_prompt}] if self.system_prompt else []
        options: dict[str, Any] = {
            **self.template_args,
            "chat_template": self._template,
            "tokenize": False,
            "add_generation_prompt": True,
        }
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
