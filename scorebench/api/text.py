"""Text that can be written: whole Unicode, without halves of surrogate pairs."""

from __future__ import annotations


def is_text(text: str) -> bool:
    """Whether a string can be written as UTF-8. JSON can bring in one half of a surrogate pair, which cannot."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def as_text(text: str) -> str:
    """The string with U+FFFD in the place of every lone half of a surrogate pair; two halves become their character."""
    return text if is_text(text) else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def printable(text: str) -> str:
    r"""The text as a terminal may show it: control characters other than line breaks and tabs are written out (\x1b).

    So text of others can neither colour, move nor rename anything in a terminal (ANSI and OSC sequences), nor turn
    round the order of what stands beside it (bidirectional controls).
    """
    return "".join(repr(letter)[1:-1] if _controls(letter) else letter for letter in as_text(text))


def _controls(letter: str) -> bool:
    if letter in "\n\t":
        return False
    return letter < " " or "\x7f" <= letter <= "\x9f" or letter in _REORDERING


_REORDERING = frozenset("\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
