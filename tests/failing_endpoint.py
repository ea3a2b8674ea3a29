"""A loopback server that speaks chat completions, and fails in whatever way a test asks of it."""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RIGHT = "Final Answer: The final answer is $2$. I hope it is correct."


@dataclass(frozen=True)
class Call:
    """One request. number: how many came before it. tries: how many of those had the same messages."""

    number: int
    body: dict[str, Any]
    key: str
    tries: int

    @property
    def messages(self) -> list[dict[str, str]]:
        return self.body["messages"]

    @property
    def turn(self) -> int:
        return sum(m["role"] == "assistant" for m in self.messages) + 1


Action = Callable[["_Handler", Call], None]


@dataclass
class FailingEndpoint:
    """plan: what is done with a call. calls: all so far. open, most_open: how many are being answered at once."""

    plan: Callable[[Call], Action]
    port: int = 0
    calls: list[Call] = field(default_factory=list)
    open: int = 0
    most_open: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _seen: Counter[str] = field(default_factory=Counter)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def enter(self, body: dict[str, Any], key: str) -> Call:
        with self._lock:
            said = json.dumps(body["messages"])
            call = Call(len(self.calls), body, key, self._seen[said])
            self._seen[said] += 1
            self.calls.append(call)
            self.open += 1
            self.most_open = max(self.open, self.most_open)
            return call

    def leave(self) -> None:
        with self._lock:
            self.open -= 1

    @contextmanager
    def serving(self) -> Iterator[FailingEndpoint]:
        """Serves until the block ends, again on the same port if it is entered again."""
        handler = type("Handler", (_Handler,), {"endpoint": self})
        with _Server(("127.0.0.1", self.port), handler) as server:
            self.port = server.server_address[1]
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: a client that gives up on a slow answer is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    endpoint: FailingEndpoint
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        call = self.endpoint.enter(body, self.headers.get("Authorization", ""))
        try:
            self.endpoint.plan(call)(self, call)
            self.wfile.flush()
        finally:
            self.endpoint.leave()

    def send(self, status: int, content: bytes, headers: dict[str, str], length: int | None = None) -> None:
        self.send_response(status)
        sized = {"Content-Type": "application/json", "Content-Length": str(length or len(content))}
        for name, value in {**sized, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def completion(
    text: Any = RIGHT, finish: str | None = "stop", prompt: int = 10, sampled: int = 7, **message: Any
) -> dict[str, Any]:
    """An answer as OpenAI's documentation has it; 4 tokens of the prompt were cached."""
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [
            {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **message}}
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": sampled,
            "total_tokens": prompt + sampled,
            "prompt_tokens_details": {"cached_tokens": 4},
        },
    }


def says(content: Any, status: int = 200, **headers: str) -> Action:
    """Sends JSON."""
    encoded = json.dumps(content).encode()
    return lambda handler, call: handler.send(status, encoded, headers)


answers = says(completion())


def refuses(status: int, message: str = "no", headers: dict[str, str] | None = None, **error: Any) -> Action:
    """Sends an error of the form that OpenAI's have."""
    return says({"error": {"message": message, **error}}, status, **(headers or {}))


def sends(content: bytes, kind: str = "application/json") -> Action:
    """Sends any bytes as an answer with status 200."""
    return lambda handler, call: handler.send(200, content, {"Content-Type": kind})


def cuts(handler: _Handler, call: Call) -> None:
    """Half an answer, then the end of the connection."""
    whole = json.dumps(completion()).encode()
    handler.send(200, whole[: len(whole) // 2], {}, length=len(whole))
    handler.close_connection = True


def resets(handler: _Handler, call: Call) -> None:
    """No answer, and a connection that breaks."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True


def hangs(handler: _Handler, call: Call) -> None:
    """No answer until the client gives up."""
    select.select([handler.connection], [], [], 60)
    handler.close_connection = True
