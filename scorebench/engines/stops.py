"""Where a reply is cut when it comes to a stop string."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Cut(NamedTuple):
    """A reply before its stop string.

    text: what stands before the stop string, without special tokens.
    ids: the tokens of that text. whole: how many of them are sampled tokens, counted from the first. A stop string that
        begins inside a token leaves a part of this token; the part is encoded anew and follows the sampled tokens.
    """

    text: str
    ids: tuple[int, ...]
    whole: int


def may_stop(tokenizer: Any, sampled: Sequence[int], stop: Sequence[str]) -> bool:
    """Whether a stop string may stand at the end of the sampled tokens: a quick look at the last ones."""
    tail = tokenizer.decode(sampled[-4 - max(map(len, stop)) :])  # a token is at least one character, mostly
    return any(word in tail for word in stop)


def cut_at_stop(tokenizer: Any, sampled: Sequence[int], stop: Sequence[str]) -> Cut | None:
    """The reply up to the first stop string, or None where there is none. A special token can be a stop string too."""
    text = tokenizer.decode(sampled)
    found = [at for word in stop if (at := text.find(word)) >= 0]
    if not found:
        return None
    before = text[: min(found)]
    whole = len(sampled)
    while whole and not before.startswith(tokenizer.decode(sampled[:whole])):
        whole -= 1
    rest = before[len(tokenizer.decode(sampled[:whole])) :]
    ids = (*sampled[:whole], *(tokenizer.encode(rest, add_special_tokens=False) if rest else ()))
    return Cut(tokenizer.decode(sampled[:whole], skip_special_tokens=True) + rest, ids, whole)
