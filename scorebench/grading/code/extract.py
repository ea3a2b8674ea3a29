"""From a model's reply to the program that is tested.

Of a reply's blocks that one counts which defines what is tested, the last if there are several: a reply that corrects
a program quotes it first. It gets the imports and the helpers that the other blocks have. An example, an output or a
summary defines nothing that is tested. Where no block does, the text around the blocks is read: a program with prose
before and after it, or the body of a function.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from scorebench.api.replies import without_thoughts
from scorebench.grading.code import blocks as markdown
from scorebench.grading.code import python_text as python
from scorebench.grading.code.blocks import Block

# Words with which a base model goes on to a problem of its own, after the program that it was asked for.
NEXT_PROBLEM = "You are an expert Python programmer, and here is your task:"

# Tokens that end a reply, where an engine has written them out.
_END_OF_TURN = re.compile(r"<\|(?:endoftext|im_end|eot_id|end|eom_id|end_of_text)\|>|<end_of_turn>|</s>\s*\Z")

MOST_BLOCKS = 100  # of a reply, the last ones; more are a flood


@dataclass(frozen=True)
class Found:
    """The program of a reply, and how it was found.

    reading: "stated" for a block between fences or marks, or a reply that is a program and nothing else; "loose" for
        what another rule found; "none" where there is no program, which is then empty.
    """

    program: str
    reading: Literal["stated", "loose", "none"]


def program_of(reply: str) -> str:
    """The program in a reply, whatever it defines; empty if there is none."""
    return read_program(reply).program


def read_program(reply: str, tested: Collection[str] = ()) -> Found:
    """The program in a reply that defines the tested names; without names, one that defines any function or class."""
    reply = _plain(reply)
    text = markdown.without_marks(reply)
    marked = text != reply
    whole = _trimmed(python.mended(text))
    if _is_program(whole):
        return Found(whole, "stated")
    blocks, outside = _blocks(text)
    for block in [block for block in blocks if block.language in ("markdown", "md")]:
        blocks += _blocks(block.content)[0]
    blocks = blocks[-MOST_BLOCKS:]
    beside = Block("", python.code_in(outside).split("\n"), stated=marked)
    chosen = _chosen(blocks, tested) or _chosen([beside], tested)
    if chosen is not None:
        others = [block for block in [beside, *blocks] if block is not chosen and block.may_be_python]
        return Found(_completed(chosen, others, tested), "stated" if chosen.stated else "loose")
    fallback = [block for block in [*blocks, beside] if block.may_be_python and block.content.strip()]
    for block in (*(block for block in fallback if block.stated), *fallback):
        return Found(_trimmed(python.mended(block.content)), "stated" if block.stated else "loose")
    if len(text) > python.LONGEST and text.strip():
        return Found(text, "loose")  # too long to look for anything in it
    return Found("", "none")


def read_completion(reply: str, prompt: str, entry_point: str) -> Found:
    """The program in a reply to the beginning of a function: a whole program, or a body that the prompt goes before.

    The imports and helpers that the prompt has before the function are part of a whole program too.
    """
    found = read_program(reply, (entry_point,))
    tree = python.parse(found.program)
    if tree is not None and entry_point in python.defined(tree):
        before = prompt.partition(f"def {entry_point}(")[0]
        return Found(python.with_future_first(before + found.program), found.reading)
    text = markdown.without_marks(_plain(reply))
    blocks, _ = _blocks(text)
    in_blocks = [block.content for block in reversed(blocks) if block.may_be_python]
    for candidate in (*in_blocks, text, found.program):
        if program := _with_body(prompt, candidate, entry_point):
            return Found(program, "loose")
    return Found(before_and_after(prompt, found.program, entry_point), found.reading) if found.program else found


def before_and_after(prompt: str, program: str, entry_point: str) -> str:
    """A program that does not define the function, with what the prompt has before it."""
    return prompt.partition(f"def {entry_point}(")[0] + program


def _plain(reply: str) -> str:
    """The reply without thoughts, invented problems and Windows line ends."""
    text = without_thoughts(reply).replace("\r\n", "\n").lstrip("\ufeff\u200b\u2060")
    text = text.partition(NEXT_PROBLEM)[0] if not text.lstrip().startswith(NEXT_PROBLEM) else text
    text = _END_OF_TURN.split(text, maxsplit=1)[0]
    before, done, _ = text.partition("[DONE]")
    return before + done if done and "[BEGIN]" not in before else text


def _blocks(text: str) -> tuple[list[Block], list[str]]:
    """The blocks of a text; a fence that only closes, as when the prompt has opened it, ends a block too."""
    before, fence, after = text.partition("\n```")
    if fence and not after.partition("\n")[0].strip() and _is_code_only(before):
        blocks, outside = markdown.split(after.partition("\n")[2])
        return [Block("python", before.split("\n")), *blocks], outside
    return markdown.split(text)


def _is_code_only(text: str) -> bool:
    """Whether a text is a program, or the body of a function, and nothing else."""
    if text[:1] in (" ", "\t") and python.parse(f"def body():\n{text}\n") is not None:
        return True
    return _is_program(text)


def _is_program(text: str) -> bool:
    tree = python.parse(text)
    if tree is None or python.returns(tree.body) or python.has_prose(tree):
        return False
    return bool(python.defined(tree))


def _chosen(blocks: list[Block], tested: Collection[str]) -> Block | None:
    """The last block that defines what is tested; one that leaves it open, or only imports it, if there is no other."""
    ranked: list[tuple[int, int, Block]] = []
    for place, block in enumerate(blocks):
        block.lines = (python.mended if block.stated else _code_of_unclosed)(block.content).split("\n")
        tree = python.parse(block.content)
        if tree is None:
            continue
        made = python.defined(tree, imports=False)
        first = next(iter(tested), "")
        if not tested:
            rank = 3 if any(isinstance(node, python.DEFINITIONS) for node in tree.body) else 0
        elif first in made:
            rank = 1 if python.is_stub(tree, first) else 3
        else:
            rank = 2 if first in python.defined(tree) else 0
        if rank:
            ranked.append((rank + 3 * block.may_be_python, place, block))
    return max(ranked, key=lambda entry: entry[:2])[2] if ranked else None


def _code_of_unclosed(text: str) -> str:
    """The code of a block that nothing closes: prose may follow it."""
    mended = python.mended(text)
    return mended if python.parse(mended) is not None else python.code_in(text.split("\n"))


def _completed(chosen: Block, others: list[Block], tested: Collection[str]) -> str:
    """The chosen block, with the imports and definitions of the other blocks that it needs before it."""
    program = _trimmed(chosen.content)
    tree = python.parse(program)
    assert tree is not None
    missing = (python.needed(program) | set(tested)) - python.defined(tree)
    statements = [(block.content, node) for block in others for node in _definitions(block)]
    taken: list[tuple[str, ast.stmt]] = []
    while missing:
        more = [
            pair for pair in statements if pair not in taken and python.defined(ast.Module([pair[1]], [])) & missing
        ]
        if not more:
            break
        taken += more
        there = set().union(*(python.defined(ast.Module([node], [])) for _, node in taken), python.defined(tree))
        missing = set().union(missing, *(python.needed(python.source(*pair)) for pair in more)) - there
    ordered = [python.source(*pair) for pair in statements if pair in taken]
    return python.with_future_first("".join(ordered) + program) if ordered else program


def _definitions(block: Block) -> list[ast.stmt]:
    tree = python.parse(python.mended(block.content))
    kinds = python.DEFINITIONS | ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign
    return [node for node in tree.body if isinstance(node, kinds)] if tree is not None else []


def _with_body(prompt: str, text: str, entry_point: str) -> str | None:
    """The prompt and a text that is the body of its function; None if it is none."""
    lines = text.rstrip().split("\n")
    first = next((index for index, line in enumerate(lines) if line.strip()), None)
    if first is None or len(text) > python.LONGEST:
        return None
    body = "".join(f"{line}\n" for line in lines[first:])
    indented = body[:1] in (" ", "\t")
    for candidate in (body,) if indented else ("    " + body, textwrap.indent(body, "    ")):
        for program in (prompt + candidate, python.code_in((prompt + candidate).split("\n"))):
            tree = python.parse(program)
            if tree is None or not _has_body(tree, entry_point, must_return=not indented):
                continue
            return program
    return None


def _has_body(tree: ast.Module, name: str, *, must_return: bool) -> bool:
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    if not functions or python.is_stub(tree, name) or python.returns(tree.body):
        return False
    return python.returns(functions[-1].body) or not must_return


def _trimmed(program: str) -> str:
    """Without blank lines around it."""
    lines = program.rstrip().split("\n")
    first = next((index for index, line in enumerate(lines) if line.strip()), len(lines))
    return "".join(f"{line}\n" for line in lines[first:])
