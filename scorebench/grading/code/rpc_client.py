"""Requests to the candidate's process, as the tests make them, and what may come back."""

from __future__ import annotations

import select
import time
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from scorebench.grading.code.callbacks import Callbacks
from scorebench.grading.code.patience import LOOK_SECONDS, Patience
from scorebench.grading.code.raised import ExceptionClasses, are_ancestors
from scorebench.grading.code.remote import Remote, Remotes
from scorebench.grading.sandbox import codec, frames
from scorebench.grading.sandbox.plain_types import refill
from scorebench.grading.sandbox.supervisor import PROCESS_ENDED

_MAX_NESTED = 50  # functions of the tests and of the program that call each other
_MAX_TEXT = 500


class ProgramLostError(BaseException):
    """The program can answer no more. No `except Exception` of a test may take it for the program's own exception."""


class TestsFaultError(BaseException):
    """The tests cannot be run at all: a fault of the data or of the harness."""

    __test__ = False


class Line:
    """The line to the candidate: one request at a time, one answer to each.

    tests_classes: the tests are about a class of the program, whose operators they may use (remote.py).
    lost: why the program can answer no more, None while it can. Whatever the tests do about it, they have failed.
    """

    def __init__(self, fd: int, patience: Patience) -> None:
        self.fd, self.patience = fd, patience
        self.tests_classes = False
        self.lost: str | None = None
        self._remotes, self._callbacks, self._exceptions = Remotes(self), Callbacks(), ExceptionClasses()
        self._nested = 0
        self._poll = select.poll()
        self._poll.register(fd)

    def ask(
        self, operation: str, target: int | str, arguments: Sequence[Any] = (), keywords: Mapping[str, Any] = {}
    ) -> Any:
        """The answer to one request; what the program raises is raised here, by raised.py."""
        shared: list[Any] = []
        try:
            request = codec.encode(
                ("ask", operation, target, list(arguments), dict(keywords)), self._callbacks_refer, shared
            )
        except codec.NotPlainError as fault:  # too large or too deep: an earlier answer that the tests pass on
            self.lose(f"the program's answer cannot be used: {fault}")
        answer = self._exchange(request, shared)
        match answer:
            case ("value", result, content) if self._refilled(shared, content):
                return result
            case ("raised", ancestors, str(text), list(said), Remote() | None as remote) if are_ancestors(ancestors):
                exception = self._exceptions.raised(ancestors, text[:_MAX_TEXT], said, remote)
                if exception is not None:
                    raise exception
                self.lose(text)
        self.lose("the program's answer cannot be read: not an answer")

    def load(self, imports: str, program: str) -> None:
        """Have the program executed; what it raises is the end of it."""
        match self._exchange(codec.encode((imports, program)), []):
            case ("value", None, None):
                return
            case ("raised", _, str(text), *_):
                self.lose(f"{text[:_MAX_TEXT]} (when the program was loaded)")
        self.lose("the program's answer cannot be read: not an answer")

    def lose(self, why: str) -> NoReturn:
        self.lost = self.lost or why
        raise ProgramLostError(self.lost)

    def _exchange(self, request: bytes, shared: list[Any]) -> Any:
        """Send a request and read the answer to it. On the way there, the program may call functions of the tests."""
        if self.lost is not None:
            raise ProgramLostError(self.lost)
        try:
            while True:
                self._look(0.0)
                frames.send(self.fd, request, lambda: self._wait(select.POLLOUT))
                message = frames.receive(self.fd, lambda: self._wait(select.POLLIN))
                answer = codec.decode(message, self._resolve, list(shared))
                if type(answer) is not tuple or len(answer) != 5 or answer[0] != "ask":
                    return answer
                request = self._call_back(*answer[1:])
        except frames.ClosedError:
            self.lose(PROCESS_ENDED)
        except codec.NotPlainError as fault:
            self.lose(f"the program's answer cannot be read: {fault}")

    def _call_back(self, operation: Any, number: Any, arguments: Any, keywords: Any) -> bytes:
        """Do what the program asks of something of the tests: the message that says what came of it."""
        if type(arguments) is not list or type(keywords) is not dict or self._nested == _MAX_NESTED:
            self.lose("the program calls functions of the tests in a way that it cannot")
        self._nested += 1
        try:
            result = ("value", self._callbacks.answer(operation, number, arguments, keywords))
        except Exception as exception:
            result = ("raised", type(exception).__name__, list(exception.args))
        finally:
            self._nested -= 1
        return codec.encode(result, self._callbacks_refer)

    def _wait(self, event: int) -> None:
        """Wait for the candidate, but not for ever. Called for each part of a message that is not there yet."""
        start = time.monotonic()
        self._poll.modify(self.fd, event)
        self._poll.poll(LOOK_SECONDS * 1000)
        self._look(time.monotonic() - start)

    def _look(self, waited: float) -> None:
        if why := self.patience.is_over(waited):
            self.lose(why)

    def _refilled(self, shared: list[Any], content: Any) -> bool:
        """Give mutable arguments the content that the call left in them; False if that is nothing such."""
        if content is None:
            return True
        try:
            for place, held in content:
                refill(shared[place], held)
        except (TypeError, ValueError, IndexError):
            return False
        return True

    def _callbacks_refer(self, value: Any) -> tuple[Any, ...]:
        if isinstance(value, Remote):
            return ("program", value._target)
        if isinstance(value, type) and (target := self._exceptions.target_of(value)) is not None:
            return ("program", target)
        if isinstance(value, Exception) and isinstance(remote := vars(value).get("_remote"), Remote):
            return ("program", remote._target)
        return self._callbacks.refer(value)

    def _resolve(self, reference: Any) -> Any:
        """What the tests get for something of the program, or for something of their own that comes back."""
        try:
            match reference:
                case ("test", number):
                    return self._callbacks.object(number)
                case ("program", int(number), "exception class", ancestors) if are_ancestors(ancestors):
                    kind = self._exceptions.of(ancestors)
                    if kind is not None:
                        return self._exceptions.keep(kind, number)
                    return self._remotes.of(number, "class", "type")
                case ("program", int(number), str(kind), str(class_name)):
                    return self._remotes.of(number, kind, class_name)
        except ValueError:
            pass
        raise codec.NotPlainError("an answer refers to something that is not there")
