"""The blocks of code in a reply, as Markdown and the marks of models delimit them, and the text around them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_LIST_ITEM = re.compile(r"(?:[-*+]|\d{1,3}[.)])?[ \t]*")
_FENCE = re.compile(r"(?P<prefix>[ \t]*(?:>[ \t]?)*[ \t]*)(?P<item>(?:[-*+]|\d{1,3}[.)])[ \t]+)?")
_FENCE = re.compile(r"`{3,}|~{3,}")
_LANGUAGE = re.compile(r"[ \t]*\{?\.?(?P<name>[A-Za-z][\w+#-]*)[^\n`]*")
_PYTHON = re.compile(r"(?:python|py)[\d.]*", re.IGNORECASE)
_TRIPLE_QUOTE = re.compile(r'"""|\'\'\'')
_CODE_IN_LINE = re.compile(r"(?<!`)`(def [^`]+)`(?!`)")
_INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060"

# Marks that some models put around a program, at a line's beginning and at a line's end.
_OPENING = ("[BEGIN]", "[PYTHON]", "[CODE]", "<code>", "<python>", "<pre>", "<|python_tag|>")
_CLOSING = ("[DONE]", "[/PYTHON]", "[/CODE]", "</code>", "</python>", "</pre>")


@dataclass
class Block:
    """A block of a reply.

    language: "python", another language's name in lower case, or "" where none is named.
    stated: it stands between fences of its own lines, or between a model's marks.
    """

    language: str
    lines: list[str] = field(default_factory=list)
    stated: bool = False

    @property
    def content(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)

    @property
    def may_be_python(self) -> bool:
        return self.language in ("", "python")


def without_marks(text: str) -> str:
    """The text without the marks that some models put around a program."""
    if not any(mark in text for mark in (*_OPENING, *_CLOSING)):
        return text
    return "\n".join(map(_without_marks, text.split("\n")))


def _without_marks(line: str) -> str:
    bare = line.strip()
    while bare.startswith(_OPENING):
        mark = next(mark for mark in _OPENING if bare.startswith(mark))
        line = bare = bare.removeprefix(mark).strip()
    if bare.startswith("[DONE]"):
        return ""
    while bare.endswith(_CLOSING):
        mark = next(mark for mark in _CLOSING if bare.endswith(mark))
        line = line.rstrip().removesuffix(mark).rstrip()
        bare = line.strip()
    return line


def split(text: str) -> tuple[list[Block], list[str]]:
    """The blocks of a text in order, and the lines that are in none. Time is linear in the text's length."""
    reader = _read(text, strings=True)
    if reader.open is not None and reader.passed_over:
        reader = _read(text, strings=False)  # what looked like the beginning of a string was none
    if reader.open is not None:
        reader.end(stated=False)
    return reader.blocks, reader.outside


def _read(text: str, *, strings: bool) -> _Reader:
    reader = _Reader(strings)
    for line in text.split("\n"):
        reader.read(line)
    return reader


class _Reader:
    """Reads line after line.

    strings: a fence inside a string of Python ends no block (a docstring may have an example in fences).
    passed_over: there was such a fence in the open block.
    """

    def __init__(self, strings: bool) -> None:
        self.strings = strings
        self.passed_over = False
        self.blocks: list[Block] = []
        self.outside: list[str] = []
        self.open: Block | None = None
        self.fence, self.prefix = "", ""
        self.quote: str | None = None  # the triple quote that a string of the open block has begun with

    def read(self, line: str) -> None:
        if self.open is None:
            self.read_outside(line)
        elif not self.closes(line):
            self.add(line)

    def read_outside(self, line: str) -> None:
        fence = _FENCE.search(line)
        before = line[: fence.start()].strip(_INVISIBLE) if fence else ""
        item = before.lstrip(" \t>")  # of a list or a quotation
        at_start = _LIST_ITEM.fullmatch(item) is not None
        if fence is None or (fence[0][0] == "~" and not at_start):
            self.outside.append(line)
            self.blocks += (Block("python", [code]) for code in _CODE_IN_LINE.findall(line))
            return
        rest = line[fence.end() :]
        if fence[0] in rest:  # opened and closed in one line
            inside, _, after = rest.partition(fence[0])
            self.add_inline(inside)
            self.outside.append(before + inside + after)
            return
        if not at_start:
            self.outside.append(before)
        prefix = before[: len(before) - len(item)] + " " * len(item)
        self.begin(fence[0], prefix if at_start else "", rest)

    def add_inline(self, inside: str) -> None:
        language = re.match(r"(?:python|py)[\d.]*[ \t]+", inside, re.IGNORECASE)
        if language:
            self.blocks.append(Block("python", [inside[language.end() :]]))

    def begin(self, fence: str, prefix: str, label: str) -> None:
        self.fence, self.prefix, self.quote, self.passed_over = fence, prefix, None, False
        named = _LANGUAGE.fullmatch(label.strip(_INVISIBLE + " \t"))
        language = named["name"].lower() if named else ""
        self.open = Block("python" if _PYTHON.match(language) else language)

    def closes(self, line: str) -> bool:
        """Whether a line ends the open block. What ends it inside a string is part of the string (a docstring)."""
        bare = line.strip(_INVISIBLE + " \t>")
        fence = _FENCE.match(bare)
        if fence is None or fence[0][0] != self.fence[0]:
            return self.closes_behind_code(line)
        if self.quote is not None:
            self.passed_over = True
        if len(fence[0]) < len(self.fence) or self.quote is not None:
            return False
        label = bare[fence.end() :].strip()
        if label and not _LANGUAGE.fullmatch(label):
            return False
        self.end(stated=not label)
        if label:  # it names a language, so it opens another block: this one was never closed
            self.begin(fence[0], "", label)
        return True

    def closes_behind_code(self, line: str) -> bool:
        code = line.rstrip(_INVISIBLE + " \t")
        if self.quote is not None or not code.endswith(self.fence) or code.count(self.fence) != 1:
            return False
        self.add(code.removesuffix(self.fence))
        if self.quote is None:
            self.end(stated=True)
            return True
        self.open.lines.pop()  # pyright: ignore[reportOptionalMemberAccess]
        return False

    def add(self, line: str) -> None:
        assert self.open is not None
        if line.startswith(self.prefix):
            line = line[len(self.prefix) :]
        elif ">" in self.prefix:
            line = line.lstrip("> ") if line.strip("> \t") else ""
        else:
            line = line[len(line[: len(self.prefix)]) - len(line[: len(self.prefix)].lstrip(" \t")) :]
        self.open.lines.append(line)
        for quote in _TRIPLE_QUOTE.findall(line) if self.strings and self.open.may_be_python else ():
            if self.quote is None:
                self.quote = quote
            elif self.quote == quote:
                self.quote = None

    def end(self, *, stated: bool) -> None:
        assert self.open is not None
        self.open.stated = stated
        self.blocks.append(self.open)
        self.open = None
