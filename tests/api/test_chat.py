"""The ids of a dialogue that goes on are those of the whole dialogue rendered at once, for every kind of template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jinja2.exceptions import TemplateError
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from scorebench.api.chat import Chat
from scorebench.api.errors import UserError
from scorebench.api.protocols import ModelSpec
from scorebench.api.types import Message, Reply
from scorebench.engines.loading import load_tokenizer
from tests import tiny

NO_SYSTEM_ROLE = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    + tiny.TEMPLATE
)
DROPS_THOUGHTS = (
    "{% for m in messages %}<|{{ m['role'] }}|>"
    "{{ m['content'].split('</think>')[-1] if m['role'] == 'assistant' else m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
FORGETS = "<|user|>{{ messages[-1]['content'] }}<|end|><|assistant|>"

# The ways of the common families, in small: which marks they use, what they add, what they change.
DEFAULT_SYSTEM = (  # ChatML, with a system prompt of its own where none is given
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are helpful.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TRIMS = (  # headers, the text trimmed, and the beginning of the text written by the template
    "{{ bos_token }}{% for m in messages %}<|header|>{{ m['role'] }}<|/header|>\n\n{{ m['content'] | trim }}<|eot|>"
    "{% endfor %}{% if add_generation_prompt %}<|header|>assistant<|/header|>\n\n{% endif %}"
)
ALTERNATES = (  # no system role, strict turns, the assistant has another name
    "{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "<turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n{{ m['content'] | trim }}<end>\n{% endfor %}"
    "{% if add_generation_prompt %}<turn>model\n{% endif %}"
)
INSTRUCTIONS = (  # questions in brackets, nothing before an answer, its end is the end of the text
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'assistant' %}{{ m['content'] }}{{ eos_token }}"
    "{% elif m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
    "{% else %}{{ raise_exception('no such role') }}{% endif %}{% endfor %}"
)
FAMILIES = {
    "default system": (DEFAULT_SYSTEM, "<|im_end|>", ["<|im_start|>"]),
    "trims": (TRIMS, "<|eot|>", ["<|header|>", "<|/header|>"]),
    "alternates": (ALTERNATES, "<end>", ["<turn>"]),
    "instructions": (INSTRUCTIONS, "</s>", ["[INST]", "[/INST]"]),
}

QUESTION: tuple[Message, ...] = ({"role": "user", "content": "2 + 2?"},)
AGAIN: tuple[Message, ...] = ({"role": "user", "content": "Are you sure?"},)


def sampled(chat: Chat, text: str, ended: bool = True) -> Reply:
    ids = chat.answer_ids(text) + ((chat.tokenizer.eos_token_id,) if ended else ())
    return Reply(text, token_ids=ids, finish_reason="stop" if ended else "length")


@pytest.mark.parametrize("template", [tiny.TEMPLATE, NO_SYSTEM_ROLE])
@pytest.mark.parametrize("system", [None, "Be brief."])
@pytest.mark.parametrize("ended", [True, False])
def test_a_continued_dialogue_is_the_dialogue_rendered_whole(template: str, system: str | None, ended: bool) -> None:
    """Whether or not the model had come to the end of its turn before it was cut off."""
    chat = Chat(tiny.tokenizer(template), system)
    first = chat.first(QUESTION)
    continued = chat.extend(first, sampled(chat, "5, I think", ended), AGAIN)
    answer: Message = {"role": "assistant", "content": "5, I think"}
    history = [*QUESTION, answer, *AGAIN]
    if system and template == NO_SYSTEM_ROLE:
        history[0] = {"role": "user", "content": f"{system}\n\n{QUESTION[0]['content']}"}
    elif system:
        history = [{"role": "system", "content": system}, *history]
    whole = chat.tokenizer.apply_chat_template(history, tokenize=False, add_generation_prompt=True)
    assert chat.tokenizer.decode(continued) == whole
    assert list(continued) == chat.tokenizer.encode(whole, add_special_tokens=False)


@pytest.fixture(params=FAMILIES, ids=lambda name: name.replace(" ", "-"))
def family(request: pytest.FixtureRequest, tmp_path: Path) -> PreTrainedTokenizerFast:
    """A tokenizer with merges, that begins a text with <s> of itself, written to files and loaded from them."""
    template, end, marks = FAMILIES[request.param]
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<s>", end, *marks]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    core.train_from_iterator([Path(__file__).read_text(encoding="utf-8")], trainer)
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", core.token_to_id("<s>"))]
    )
    made = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token=end)
    made.chat_template = template
    made.save_pretrained(tmp_path)
    return load_tokenizer(ModelSpec(path=str(tmp_path), label="family", dtype="float32", device="cpu", batch_size=1))


@pytest.mark.parametrize("system", [None, "Be brief."])
@pytest.mark.parametrize("ended", [True, False])
def test_the_templates_of_the_common_families_go_on_as_they_render(
    family: PreTrainedTokenizerFast, system: str | None, ended: bool
) -> None:
    """Three turns; one beginning of the text, one end of each answer, and no default prompt beside a given one."""
    chat = Chat(family, system)
    ids, history = chat.first(QUESTION), [*QUESTION]
    for text in ("5, I think", "4, now I am sure"):
        ids = chat.extend(ids, sampled(chat, text, ended), AGAIN)
        history += [{"role": "assistant", "content": text}, *AGAIN]
    whole = chat._render(history)
    assert family.decode(list(ids)) == whole
    assert ids.count(family.bos_token_id) == whole.count("<s>")
    assert whole.count(str(family.eos_token)) >= 2
    assert whole.count("Be brief.") == (system is not None)
    assert not (system and "You are helpful." in whole)


def test_a_base_model_gets_paragraphs() -> None:
    chat = Chat(tiny.tokenizer(template=None), "Be brief.")
    continued = chat.extend(chat.first(QUESTION), sampled(chat, "5"), AGAIN)
    assert chat.tokenizer.decode(continued) == "Be brief.\n\n2 + 2?\n\n5<|end|>\n\nAre you sure?\n\n"


def test_a_template_that_drops_thoughts_is_found_out_and_the_thoughts_are_kept() -> None:
    plain, dropping = Chat(tiny.tokenizer()), Chat(tiny.tokenizer(DROPS_THOUGHTS))
    assert (plain.rewrites_history, dropping.rewrites_history) == (False, True)
    continued = dropping.extend(dropping.first(QUESTION), sampled(dropping, "<think>hm</think>4"), AGAIN)
    assert "<think>hm</think>4" in dropping.tokenizer.decode(continued)


def test_a_template_that_forgets_answers_is_refused() -> None:
    chat = Chat(tiny.tokenizer(FORGETS))
    with pytest.raises(UserError, match="does not show earlier answers"):
        chat.extend(chat.first(QUESTION), sampled(chat, "4"), AGAIN)


def test_a_broken_template_is_not_hidden() -> None:
    with pytest.raises(TemplateError):
        Chat(tiny.tokenizer("{{ raise_exception('no') }}")).first(QUESTION)


LLAMA_2 = (  # the end of an answer is written after a space
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'] + ' ' + eos_token }}{% endif %}{% endfor %}"
)
CHANNELS = (  # as gpt-oss: an answer in the history ends otherwise than the answer that is sampled
    "<start>system<message>Today is {{ strftime_now('%Y-%m-%d') }}.<end>"
    "{% for m in messages %}<start>{{ m['role'] }}<message>{{ m['content'] }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<start>assistant<message>{% endif %}"
)
UNCLOSED = (  # as DeepSeek without its end of sentence: a message is closed by the next one's beginning
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
ONE_MARK = (  # one mark for every beginning, none for ends
    "{% for m in messages %}<start>{{ m['role'] }}\n{{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<start>assistant\n{% endif %}"
)


def with_marks(template: str, marks: list[str], end: str) -> Any:
    """The tiny tokenizer with further special tokens."""
    made = tiny.tokenizer(template)
    made.add_special_tokens({"bos_token": "<s>", "eos_token": end, "extra_special_tokens": marks})
    return made


@pytest.mark.parametrize(
    ("template", "marks", "ends", "between"),
    [
        (LLAMA_2, [], ["</s>"], "5</s><s>[INST] Are you sure? [/INST]"),
        (CHANNELS, ["<start>", "<message>", "<end>"], ["<return>"], None),
        (tiny.TEMPLATE, ["<|endoftext|>"], ["<|end|>", "<|endoftext|>"], None),
        (FAMILIES["default system"][0], ["<|im_start|>", "<|endoftext|>"], ["<|im_end|>", "<|endoftext|>"], None),
        (UNCLOSED, ["<user>", "<assistant>"], ["</s>"], "5</s><user>Are you sure?<assistant>"),
        (ONE_MARK, ["<start>"], ["</s>"], "5</s><start>user\nAre you sure?<start>assistant\n"),
    ],
)
def test_an_answer_has_one_end_of_turn_whatever_the_model_ended_it_with(
    template: str, marks: list[str], ends: list[str], between: str | None
) -> None:
    made = with_marks(template, marks, ends[0])
    ids = {end: made.convert_tokens_to_ids(end) for end in ends}
    for end in ends:
        chat = Chat(made, ends=ids.values())
        first = chat.first(QUESTION)
        reply = Reply("5", token_ids=(*chat.answer_ids("5"), ids[end]))
        on = made.decode(chat.extend(first, reply, AGAIN)[len(first) :])
        cut = made.decode(chat.extend(first, Reply("5", token_ids=chat.answer_ids("5")), AGAIN)[len(first) :])
        own = next((mark for mark in ("<end>", "<|end|>", "<|im_end|>", " </s>") if cut.startswith("5" + mark)), "")
        assert on == (between or cut.replace(own, end, 1))
        assert on.startswith(f"5{end}")
        assert sum(on.split("Are you sure?")[0].count(mark) for mark in {*ends, "<end>", "<|end|>", "</s>"}) == 1


def test_a_template_with_a_clock_in_it_gives_the_same_prompt_on_every_day(monkeypatch: pytest.MonkeyPatch) -> None:
    made = with_marks(CHANNELS, ["<start>", "<message>", "<end>"], "<return>")
    chat = Chat(made)
    assert "Today is 2024-07-26." in made.decode(chat.first(QUESTION))
    assert chat.identity["date"] == "2024-07-26"
    assert "date" not in Chat(tiny.tokenizer()).identity


def test_arguments_of_the_template_reach_it_and_are_part_of_what_it_is() -> None:
    template = (
        "{% if enable_thinking is defined and not enable_thinking %}<|system|>no_think{% endif %}" + tiny.TEMPLATE
    )
    made: Any = tiny.tokenizer(template)
    off, unsaid = Chat(made, template_args={"enable_thinking": False}), Chat(made)
    assert made.decode(off.first(QUESTION)).startswith("<|system|>no_think")
    assert made.decode(unsaid.first(QUESTION)).startswith("<|user|>")
    assert off.identity != unsaid.identity
    with pytest.raises(UserError, match="does not know 'enable_thinking'"):
        Chat(tiny.tokenizer(), template_args={"enable_thinking": False})
    with pytest.raises(UserError, match="does not know 'mood'"):
        Chat(tiny.tokenizer(None), template_args={"mood": "good"})


def test_a_tokenizer_says_whether_it_has_a_template() -> None:
    assert Chat(tiny.tokenizer()).has_template
    assert not Chat(tiny.tokenizer(None)).has_template
    assert Chat(tiny.tokenizer(None)).identity == {"template": None}
