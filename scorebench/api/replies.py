"""What of a model's reply is read: its thoughts are no part of it. Pure text, linear time on any input."""

from __future__ import annotations

import re

# <think> and its kin, with the other spellings that models use for the brackets. A name in quotes or backticks is only
# a mention of the mark.
_NAME = r"seed:think|think|thinking|thoughts?|reasoning|reflection|scratchpad"
_MARK = re.compile(
    rf"(?<![`'\"])(?:<(?P<close>/)?(?P<name>{_NAME})>"
    r"|<\|(?:(?P<bar_open>begin_of_thought|start_thinking)|(?P<bar_close>end_of_thought|end_thinking))\|>"
    r"|\[(?P<square_close>/)?think\]|◁(?P<kimi_close>/)?think▷)",
    re.IGNORECASE,
)
# gpt-oss writes its thoughts into a channel of their own; the second form is what is left without special tokens.
_CHANNEL = re.compile(r"<\|channel\|>\s*(?P<name>\w+)[^<]{0,80}<\|message\|>")
_BARE_CHANNEL = re.compile(r"\s*analysis(?=[A-Z])")
_END_OF_MESSAGE = re.compile(r"<\|(?:return|end|start|call)\|>")


def without_thoughts(text: str) -> str:
    """The reply without the model's thoughts; "" where it was cut off inside them.

    A closing mark without an opening one ends thoughts that the chat template has opened: all text before it goes. Of
    a reply in gpt-oss's channels the last message of the channel "final" is left.
    """
    if (channels := list(_CHANNEL.finditer(text))) or _BARE_CHANNEL.match(text):
        return _final_channel(text, channels)
    kept: list[str] = []
    opened: str | None = None
    position = 0
    for mark in _MARK.finditer(text):
        family, closes = _family(mark)
        if opened is None:
            kept = [] if closes else [*kept, text[position : mark.start()]]
            opened = None if closes else family
        elif closes and family == opened:
            opened = None
        position = mark.end()
    return "" if opened is not None else "".join([*kept, text[position:]])


def _family(mark: re.Match[str]) -> tuple[str, bool]:
    """The kind of a mark (think, thinking and thought are one kind), and whether it closes."""
    name = (mark["name"] or "think").lower()
    closes = any(mark[group] for group in ("close", "bar_close", "square_close", "kimi_close"))
    return name if name in ("reasoning", "reflection", "scratchpad") else "think", closes


def _final_channel(text: str, channels: list[re.Match[str]]) -> str:
    """The last message of the channel "final", without the mark that ends it; "" without one."""
    finals = [channel for channel in channels if channel["name"] == "final"]
    if not channels:
        return text.rpartition("assistantfinal")[2] if "assistantfinal" in text else ""
    return _END_OF_MESSAGE.split(text[finals[-1].end() :], maxsplit=1)[0] if finals else ""
