"""What a text says as Python: the names that it defines and needs, and the code in it that prose surrounds."""

from __future__ import annotations

import ast
import builtins
import re
import symtable
import textwrap
import threading
from collections.abc import Iterator, Sequence

LONGEST = 50_000  # characters of a text that is parsed: that takes memory many times its size, in this process
_INVISIBLE = re.compile("[\ufeff\u200b\u200c\u200d\u2060]")
_TRIPLE_QUOTE = re.compile(r'"""|\'\'\'')
_GOES_ON = re.compile(r"[)\]}]|(?:else|elif|except|finally)\b")
_DEFINITION = re.compile(r"(?:async[ \t]+def|def|class)[ \t]+\w+[ \t]*[(:\[]|@\w")
DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_ONE_AT_A_TIME = threading.Lock()


def syntax_tree(text: str) -> ast.Module:
    """What ast.parse gives or raises. One thread parses at a time.

    Up to Python 3.12 all threads count the depth of their trees in the same number. Where the garbage collector runs
    Python code while one thread builds its tree, another one may change that number, and the first one gets a
    SystemError: "AST constructor recursion depth mismatch" (CPython issue 106905).
    """
    with _ONE_AT_A_TIME:
        return ast.parse(text)


def parse(text: str) -> ast.Module | None:
    """The syntax tree, or None if the text is no Python. It is not compiled, which a program can make expensive."""
    if len(text) > LONGEST:
        return None
    try:
        return syntax_tree(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def mended(text: str) -> str:
    """The text as Python takes it, if it is Python but for its indentation or for characters that nobody sees."""
    if len(text) > LONGEST or parse(text) is not None:
        return text
    visible = _INVISIBLE.sub("", text).replace("\u00a0", " ")
    for candidate in (visible, textwrap.dedent(visible), _typed(visible)):
        if candidate.strip() and parse(candidate) is not None:
            return candidate
    return text


def _typed(text: str) -> str:
    """What was typed in a session of the interpreter: the lines behind its prompts."""
    typed = (line[4:] for line in text.split("\n") if line.startswith((">>> ", "... ")))
    return "".join(f"{line}\n" for line in typed)


def defined(tree: ast.Module, *, imports: bool = True) -> set[str]:
    """The names that a module has when it has run, as far as the text says."""
    names: set[str] = set()
    for node in _at_module_level(tree.body):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names |= {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases) if imports:
                names |= {alias.asname or alias.name.partition(".")[0] for alias in aliases}
    return names


def _at_module_level(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, and those inside its if, try and with."""
    for node in body:
        yield node
        if not isinstance(node, DEFINITIONS):
            for part in ("body", "orelse", "finalbody"):
                yield from _at_module_level(getattr(node, part, []))
            for handler in getattr(node, "handlers", []):
                yield from _at_module_level(handler.body)


def needed(text: str) -> set[str]:
    """The global names that a program reads and that are no builtins, wherever they are defined."""
    try:
        tables = [symtable.symtable(text, "<program>", "exec")]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    names: set[str] = set()
    for table in tables:  # grows by the tables of inner functions and classes
        tables += table.get_children()
        at_module = table.get_type() == "module"
        names |= {
            name.get_name() for name in table.get_symbols() if name.is_referenced() and (at_module or name.is_global())
        }
    return names - set(dir(builtins))


def is_stub(tree: ast.Module, name: str) -> bool:
    """Whether the function of this name is left open: nothing but a docstring, pass or `...`."""
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    return bool(functions) and all(_does_nothing(node) for node in functions[-1].body)


def _does_nothing(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def returns(body: Sequence[ast.stmt]) -> bool:
    """Whether statements return or yield by themselves and not in a function inside, as those of a function do."""
    for node in _at_module_level(body):
        yields = isinstance(node, ast.Expr | ast.Assign) and isinstance(node.value, ast.Yield | ast.YieldFrom)
        if isinstance(node, ast.Return) or yields:
            return True
    return False


def has_prose(tree: ast.Module) -> bool:
    """Whether a module has statements that are words of a person and happen to be Python, such as "Note: easy"."""
    return any(_is_words(node) for node in tree.body)


def _is_words(node: ast.stmt) -> bool:
    match node:
        case ast.Expr(value=ast.Name() | ast.Attribute() | ast.Tuple()) | ast.AnnAssign(value=None):
            return True
    return False


def with_future_first(text: str) -> str:
    """The program with its `from __future__` lines at the top, where Python wants them."""
    tree = parse(text) if "__future__" in text else None
    if tree is None:
        return text
    lines, moved = text.split("\n"), []
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            moved.append(ast.unparse(node))
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
    return "\n".join([*moved, *lines]) if moved else text


def source(text: str, node: ast.stmt) -> str:
    """The lines of a statement, its decorators included."""
    decorators = [decorator.lineno for decorator in getattr(node, "decorator_list", [])]
    first = min([node.lineno, *decorators])
    return "".join(f"{line}\n" for line in text.split("\n")[first - 1 : node.end_lineno])


def code_in(lines: Sequence[str]) -> str:
    """The code in lines that may be prose: those statements at the left margin that are Python, in order."""
    text = "".join(f"{line}\n" for line in lines)
    if len(text) > LONGEST:
        return ""
    tree = parse(text)
    if tree is not None and any(map(_is_code, tree.body)) and not has_prose(tree):
        return text
    return "".join(_codes(list(lines), 2)) or _typed(text)


def _codes(lines: list[str], depth: int) -> Iterator[str]:
    chunks = list(_chunks(lines))
    for place, chunk in enumerate(chunks):
        text = "".join(f"{line}\n" for line in chunk)
        tree = parse(text)
        if tree is not None:
            if any(map(_is_code, tree.body)):
                yield text
        elif _DEFINITION.match(text) and place < len(chunks) - 1:
            yield text  # code with a mistake in it, which must not get better by being left out
        elif depth and len(chunk) > 1:  # a line of prose, and code that is indented below it
            rest = textwrap.dedent("".join(f"{line}\n" for line in chunk[1:])).split("\n")
            yield from _codes(rest, depth - 1)


def _chunks(lines: list[str]) -> Iterator[list[str]]:
    """Groups of lines, each beginning at the left margin; a string of several lines or a decorator splits no group."""
    chunk: list[str] = []
    quote: str | None = None
    for line in lines:
        begins = quote is None and line[:1] not in ("", " ", "\t") and not _GOES_ON.match(line)
        if begins and chunk and not chunk[-1].startswith("@"):
            yield chunk
            chunk = []
        chunk.append(line)
        for found in _TRIPLE_QUOTE.findall(line):
            quote = found if quote is None else None if found == quote else quote
    if chunk:
        yield chunk


def _is_code(node: ast.stmt) -> bool:
    """Whether a statement is meant as code: a word or a string alone is prose that happens to be Python."""
    match node:
        case ast.Expr(value=value):
            return isinstance(value, ast.Call | ast.Await | ast.Yield)
    return not _is_words(node)
