"""The trusted side: it runs the tests as they are written, and holds the verdict.

The tests' code calls the entry point as if it were at hand; the name stands for a `Remote`, which asks the candidate's
process and returns plain data. Expected values and comparisons never leave this process, and nothing of the program is
ever executed, or even parsed, in it.

An answer that is not plain data (a match object, a generator, an instance of the program's own class) is again a
`Remote` (remote.py), good for what tests do with such objects.
"""

from __future__ import annotations

import ast
import importlib
import random
import socket
from typing import Any

from scorebench.grading.code.output_digest import digest_of_outputs
from scorebench.grading.code.patience import Patience
from scorebench.grading.code.remote import Remote
from scorebench.grading.code.rpc_client import Line, ProgramLostError, TestsFaultError
from scorebench.grading.code.test_parser import Tests, read_tests
from scorebench.grading.sandbox.linux import Limits, receive_with_pid
from scorebench.grading.sandbox.rpc_server import READY

_MAX_DETAIL = 500


def run_tests(channel: socket.socket, job: dict[str, Any]) -> dict[str, str]:
    """Run a job's tests against the candidate at the other end: {"outcome", "rule", "detail"}.

    A job that asks for "outputs" gets no verdict: it passes, and the detail is a digest of the program's answers to
    what its tests call (output_digest.py).

    Outcome "error" where the tests cannot be run; "unready" where the candidate's process could not be set up.
    """
    random.seed(0)
    try:
        pid = _await_ready(channel)
    except (OSError, ValueError) as fault:
        return {"outcome": "unready", "rule": "", "detail": f"the candidate's process could not be set up: {fault}"}
    channel.setblocking(False)
    line = Line(channel.fileno(), Patience(pid, Limits(**job["limits"])))
    rule = ""
    try:
        tests = read_tests(job["tests"], job["setup"], job["entry_point"])
        line.tests_classes = tests.classes
        rule = tests.rule
        if job["asks"] == "outputs":
            return {"outcome": "pass", "rule": "outputs", "detail": _outputs(tests, line, job["program"])}
        line.load(_imports(tests.setup), job["program"])
        failure = _run(tests, line)
    except ProgramLostError:
        failure = ""
    except TestsFaultError as fault:
        return {"outcome": "error", "rule": rule, "detail": str(fault)}
    if line.lost is not None:
        return {"outcome": "fail", "rule": rule, "detail": _one_line(line.lost)}
    return {"outcome": "fail" if failure else "pass", "rule": rule, "detail": _one_line(failure)}


def _one_line(text: str) -> str:
    """Text for a person, some of which may be the program's: short, and without anything that acts on a terminal."""
    readable = "".join(character if character.isprintable() else " " for character in text[:_MAX_DETAIL])
    return " ".join(readable.split())


def _await_ready(channel: socket.socket) -> int:
    """Wait until the candidate's process is locked in: its number as it is seen from here."""
    channel.settimeout(60)
    message, pid = receive_with_pid(channel, 1024)
    if message[4:] != READY:
        raise ValueError(message[4:].decode("utf-8", "replace"))
    return pid


def _imports(setup: ast.Module) -> str:
    """The setup's imports, which the program may rely on. The rest of the setup may hold what it must not see."""
    body: list[ast.stmt] = [node for node in setup.body if isinstance(node, ast.Import | ast.ImportFrom)]
    return ast.unparse(ast.Module(body, []))


class _NamesOfProgram(dict[str, Any]):
    """The names that tests run with, where some of them are the program's.

    Such a name is looked up in the program's process each time it is read: it may be plain data, and change.
    """

    def __init__(self, names: dict[str, Any], remotes: dict[str, Remote]) -> None:
        super().__init__(names)
        self._remotes = remotes

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        return value._ask("global") if value is self._remotes.get(name, self) else value


def _set_up(tests: Tests, line: Line) -> dict[str, Any]:
    """The names that the tests run with. The entry point is always a Remote."""
    entry = {tests.entry: Remote(line, tests.entry)}
    helpers = {name: Remote(line, name) for name in tests.helpers}
    names: dict[str, Any] = {"__name__": "tests"}
    names |= {name: importlib.import_module(name) for name in tests.modules}
    if helpers:
        names = _NamesOfProgram(names, helpers)
    names.update(helpers | entry)
    exec(compile(tests.setup, "<setup>", "exec"), names)
    names.update(helpers | entry)  # a prompt given as setup defines a stub of the entry point's name
    return names


def _outputs(tests: Tests, line: Line, program: str) -> str:
    """A digest of what the program answers to the calls in the tests."""

    def loaded() -> dict[str, Any]:
        line.load(_imports(tests.setup), program)
        return _set_up(tests, line)

    return digest_of_outputs([step for tree in tests.statements for step in tree.body], tests.entry, loaded)


def _run(tests: Tests, line: Line) -> str:
    """Run the tests; why they failed, or nothing."""
    step: ast.AST | None = None
    try:
        names = _set_up(tests, line)
        for tree in tests.statements:
            for step in tree.body:
                exec(compile(ast.Module([step], []), "<tests>", "exec"), names)
        if tests.check:
            check = names["check"]
            entry = Remote(line, tests.entry)
            names[tests.entry] = entry  # the tests may define a function of that name
            step = None
            check(entry)
    except (ProgramLostError, TestsFaultError):
        raise
    except BaseException as exception:
        return _describe(exception, step, tests)
    return ""


def _describe(exception: BaseException, step: ast.AST | None, tests: Tests) -> str:
    """The statement that failed, and how."""
    if step is None:
        step = _failing_statement(exception, tests)
    failure = _said(exception)
    return f"{ast.unparse(step)[:300].splitlines()[0]} -- {failure}" if step else failure


def _said(exception: BaseException) -> str:
    """The class and the text of an exception. Its arguments may be the program's data: only short ones are shown."""
    if said_by_program := vars(exception).get("_text"):
        return said_by_program.partition("\n")[0].rstrip(": ")
    said = f"{exception.args[0]:.200}" if exception.args and type(exception.args[0]) is str else ""
    return f"{type(exception).__name__}: {said.splitlines()[0]}" if said.strip() else type(exception).__name__


def _failing_statement(exception: BaseException, tests: Tests) -> ast.AST | None:
    line_number, traceback = 0, exception.__traceback__
    while traceback:
        if traceback.tb_frame.f_code.co_filename == "<tests>":
            line_number = traceback.tb_lineno
        traceback = traceback.tb_next
    statements = [
        node
        for tree in tests.statements
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and node.lineno <= line_number <= (node.end_lineno or 0)
    ]
    return min(statements, key=lambda node: (node.end_lineno or 0) - node.lineno, default=None)
