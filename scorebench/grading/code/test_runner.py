"""The trusted side: it runs the tests as they are written, and holds the verdict.

The tests' code calls the entry point as if it were at hand; the name stands for a `Remote`, which asks the candidate's
process and returns plain data. Expected values and comparisons never leave this process, and nothing of the program is
ever executed, or even parsed, in it.

An answer that is not plain data (a match object, a generator, an instance of the program's own class) is again a
`Remote`: equal to nothing but itself, and good for what tests do with such objects. No special method of the
candidate's objects takes part in a comparison.
"""

from __future__ import annotations

import ast
import importlib
import random
import socket
import struct
from typing import Any

from scorebench.grading.code.output_digest import digest_of_outputs
from scorebench.grading.code.rpc_client import Line, Patience, ProgramLostError, Remote, TestsFaultError
from scorebench.grading.code.test_parser import Tests, read_tests
from scorebench.grading.sandbox.linux import Limits
from scorebench.grading.sandbox.rpc_server import READY

_CREDENTIALS = struct.Struct("3i")  # process, user, group


def judge(channel: socket.socket, job: dict[str, Any]) -> dict[str, str]:
    """Run a job's tests against the candidate at the other end: {"outcome", "rule", "detail"}.

    A job that asks for "outputs" is not judged: it passes, and the detail is a digest of the program's answers to what
    its tests call (output_digest.py).

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
        return {"outcome": "fail", "rule": rule, "detail": " ".join(line.lost.split())}
    return {"outcome": "fail" if failure else "pass", "rule": rule, "detail": failure}


def _await_ready(channel: socket.socket) -> int:
    """Wait until the candidate's process is locked in; its number as it is seen from here.

    The kernel writes the sender's number on the message, translated between process namespaces.
    """
    channel.settimeout(60)
    message, ancillary, _, _ = channel.recvmsg(1024, socket.CMSG_SPACE(_CREDENTIALS.size))
    if message[4:] != READY:
        raise ValueError(message[4:].decode("utf-8", "replace") or "it ended at once")
    return _CREDENTIALS.unpack(ancillary[0][2])[0]


def _imports(setup: ast.Module) -> str:
    """The setup's imports, which the program may rely on. The rest of the setup may hold what it must not see."""
    body: list[ast.stmt] = [node for node in setup.body if isinstance(node, ast.Import | ast.ImportFrom)]
    return ast.unparse(ast.Module(body, []))


def _remotes(tests: Tests, line: Line) -> dict[str, Any]:
    return {name: Remote(line, name) for name in tests.helpers | {tests.entry}}


def _set_up(tests: Tests, remotes: dict[str, Any]) -> dict[str, Any]:
    """The names that the tests run with."""
    names: dict[str, Any] = {"__name__": "tests"}
    names |= {name: importlib.import_module(name) for name in tests.modules}
    names |= remotes
    exec(compile(tests.setup, "<setup>", "exec"), names)
    names |= remotes  # a prompt given as setup defines a stub of the entry point's name
    return names


def _outputs(tests: Tests, line: Line, program: str) -> str:
    """A digest of what the program answers to the calls in the tests."""

    def loaded() -> dict[str, Any]:
        line.load(_imports(tests.setup), program)
        return _set_up(tests, _remotes(tests, line))

    return digest_of_outputs([step for tree in tests.statements for step in tree.body], tests.entry, loaded)


def _run(tests: Tests, line: Line) -> str:
    """Run the tests; why they failed, or nothing."""
    remotes = _remotes(tests, line)
    step: ast.AST | None = None
    try:
        names = _set_up(tests, remotes)
        for tree in tests.statements:
            for step in tree.body:
                exec(compile(ast.Module([step], []), "<tests>", "exec"), names)
        if tests.check:
            check = names["check"]
            names |= remotes
            step = None
            check(remotes[tests.entry])
    except (ProgramLostError, TestsFaultError):
        raise
    except BaseException as exception:
        return _describe(exception, step, tests)
    return ""


def _describe(exception: BaseException, step: ast.AST | None, tests: Tests) -> str:
    """One line: the statement that failed, and how."""
    if step is None:
        step = _failing_statement(exception, tests)
    said = str(exception)[:200].splitlines()
    failure = f"{type(exception).__name__}: {said[0]}" if said else type(exception).__name__
    return f"{ast.unparse(step)[:300].splitlines()[0]} -- {failure}" if step else failure


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
