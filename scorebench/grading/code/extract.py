"""From a model's reply to a program."""

from __future__ import annotations

import re

_FENCE = re.compile(r"[ \t]*(```|~~~)[ \t]*([\w+.-]*)")
_PYTHON = {"", "python", "python3", "py", "py3"}


def program_of(reply: str) -> str:
    """The program in a reply, its indentation kept.

    The last complete fenced block counts, of Python or of no named language if there is one such: a reply that
    corrects an earlier program quotes it first. Then MBPP's own marks, [BEGIN] and [DONE]: the last pair, or, for a
    reply that goes on after a prompt ending in [BEGIN], what stands before the first [DONE]. Then a block that is
    opened and never closed. Else the text itself. Time is linear in the reply's length, whatever it holds.
    """
    text = reply.replace("\r\n", "\n")
    before, done, _ = text.partition("[DONE]")
    if done and "[BEGIN]" not in before:
        text = before  # a base model goes on with problems of its own invention
    blocks, unclosed = _fenced_blocks(text)
    if blocks:
        of_python = [content for language, content in blocks if language.lower() in _PYTHON]
        return _trim(of_python[-1] if of_python else blocks[-1][1])
    begin = text.rfind("[BEGIN]", 0, max(text.rfind("[DONE]"), 0))
    if begin >= 0:
        return _trim(text[begin + len("[BEGIN]") : text.index("[DONE]", begin)])
    return _trim(text.rpartition("[BEGIN]")[2] if unclosed is None else unclosed)


def _fenced_blocks(text: str) -> tuple[list[tuple[str, str]], str | None]:
    """The (language, content) of every complete block, and the content of one that is left open at the end."""
    blocks: list[tuple[str, str]] = []
    mark, language, content = None, "", []
    for line in text.splitlines(keepends=True):
        fence = _FENCE.match(line)
        if mark is not None and line.strip() == mark:
            blocks.append((language, "".join(content)))
            mark = None
        elif fence and (mark is None or (fence[2] and fence[1] == mark)):
            mark, language, content = fence[1], fence[2], []  # naming a language, it opens: the last was never closed
        elif mark is not None:
            content.append(line)
    return blocks, None if mark is None else "".join(content)


def _trim(program: str) -> str:
    """Without blank lines around it; the first line's indentation says whether it is the body of a function."""
    lines = program.rstrip().split("\n")
    first = next((index for index, line in enumerate(lines) if line.strip()), len(lines))
    return "".join(f"{line}\n" for line in lines[first:])
