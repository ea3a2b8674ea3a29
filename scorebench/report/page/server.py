"""Shows the page in a browser while runs go on: `scorebench view --serve`."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from scorebench.api.errors import UserError
from scorebench.report.page.build import page

WATCHED = ("runs/*/run.json", "runs/*/episodes.jsonl", "checkpoints/*/training.json", "checkpoints/**/steps.jsonl")


class LivePage:
    """The page of a folder; made anew when it is asked for and a file of the folder has changed since."""

    def __init__(self, out: Path, transcripts: int | None = None, data: Path | None = None) -> None:
        self.out = out
        self.transcripts = transcripts
        self.data = data
        self._lock = threading.Lock()
        self._seen: Hashable = None
        self._html = b""

    def html(self) -> bytes:
        """The page as bytes. UserError where there are no runs."""
        with self._lock:
            now = self._files()
            if now != self._seen:
                self._html = page(self.out, self.transcripts, self.data).html.encode()
                self._seen = now
            return self._html

    def _files(self) -> Hashable:
        files = sorted(file for pattern in WATCHED for file in self.out.glob(pattern))
        return tuple((file, (stat := file.stat()).st_mtime_ns, stat.st_size) for file in files)


def serve(live: LivePage, port: int) -> None:
    """Serves the page to this machine until Ctrl-C. UserError where there are no runs, or the port is taken."""
    live.html()
    try:
        server = server_of(live, port)
    except OSError as fault:
        raise UserError(f"Cannot listen on port {port}: {fault.strerror}; take another with --port.") from fault
    print(
        f"http://127.0.0.1:{server.server_port}/  shows {live.out} as it is; reload for new rows, Ctrl-C to stop.",
        flush=True,
    )
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("\nStopped.")


def server_of(live: LivePage, port: int) -> ThreadingHTTPServer:
    """A server on 127.0.0.1 that knows one address, "/"."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self._is_for_us():  # another site's name that was made to point here (DNS rebinding)
                self._answer(403, b"Ask for 127.0.0.1 by its number.")
            elif self.path.split("?")[0] != "/":
                self._answer(404, b"There is one page here, at /.")
            else:
                try:
                    self._answer(200, live.html())
                except UserError as mistake:
                    self._answer(500, str(mistake).encode("utf-8", "replace"))

        def _is_for_us(self) -> bool:
            host = (self.headers.get("Host") or "").rpartition(":")[0]
            return host in ("127.0.0.1", "localhost")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", f"text/{'html' if status == 200 else 'plain'}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Requests are not worth a line."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)
