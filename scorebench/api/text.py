"""Text that can be written: whole Unicode, without halves of surrogate pairs."""

from __future__ import annotations


def is_text(text: str) -> bool:
    """Whether a string can be written as UTF-8. JSON can bring in one half of a surrogate pair, which cannot."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def as_text(text: str) -> str:
    """The string with U+FFFD in the place of every lone half of a surrogate pair; two halves become their character."""
    return text if is_text(text) else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
