"""A hub on loopback: it serves the files of datasets as the real one does, and fails in its ways when told to.

It answers what huggingface_hub asks when it downloads a file: HEAD and GET of /datasets/REPO/resolve/REVISION/PATH,
with a redirect to a store of large files for parquet, the commit in X-Repo-Commit, the etag, ranges, and 404s that
say in X-Error-Code what is missing.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from scorebench.storage.datasets import Row, Table, read_rows
from scorebench.tasks import gsm8k, math, mbpp


def real_data() -> Path:
    """The folder of the upstream files, from SCOREBENCH_DATA or beside the repository; skips the test without one."""
    folder = Path(os.environ.get("SCOREBENCH_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no folder of the real benchmark data: neither SCOREBENCH_DATA nor {folder}")
    return folder


@dataclass
class Hub:
    """What the server has, and how it fails.

    files: content by (repo, revision, path).
    cut: how many bytes of a file are sent before the connection drops; None sends all.
    altered: whether the bytes that are sent differ from those that were announced.
    requests: the method and path of every request, in order.
    """

    files: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    cut: int | None = None
    altered: bool = False
    requests: list[str] = field(default_factory=list)
    url: str = ""

    def publish(self, table: Table, contents: Sequence[bytes]) -> None:
        for path, content in zip(table.paths, contents, strict=True):
            self.files[table.repo, table.revision, path] = content


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Runs the server for as long as the context lasts; hub.url is its address."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.hub.requests.append(f"{self.command} {self.path}")
        if self.path.startswith("/store/"):
            by_digest = {hashlib.sha256(content).hexdigest(): content for content in self.hub.files.values()}
            self._send(by_digest[self.path.removeprefix("/store/")], {})
            return
        repo, _, rest = self.path.removeprefix("/datasets/").partition("/resolve/")
        revision, _, path = rest.partition("/")
        content = self.hub.files.get((repo, revision, path))
        if content is None:
            self._not_found(repo, revision)
        elif path.endswith(".parquet"):
            digest = hashlib.sha256(content).hexdigest()
            linked = {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content)), "X-Repo-Commit": revision}
            # The store is another host, as the real one is: the library does not follow HEAD there.
            store = self.hub.url.replace("127.0.0.1", "localhost")
            self._reply(302, {"Location": f"{store}/store/{digest}", **linked})
        else:
            self._send(content, {"X-Repo-Commit": revision, "ETag": f'"{hashlib.sha1(content).hexdigest()}"'})

    def _not_found(self, repo: str, revision: str) -> None:
        known = [key[:2] for key in self.hub.files]
        if repo not in {name for name, _ in known}:
            code = "RepoNotFound"
        else:
            code = "EntryNotFound" if (repo, revision) in known else "RevisionNotFound"
        self._reply(404, {"X-Error-Code": code, "X-Error-Message": code})

    def _send(self, content: bytes, headers: dict[str, str]) -> None:
        if self.hub.altered:
            content = content.replace(b"e", b"E")
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        sent = content[start : self.hub.cut] if self.command == "GET" else b""
        if start:
            headers = {**headers, "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        self._reply(206 if start else 200, {**headers, "Content-Length": str(len(content) - start)}, sent)
        if self.command == "GET" and len(sent) < len(content) - start:
            self.close_connection = True

    def _reply(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def published(folder: Path) -> Hub:
    """The three benchmarks as the hub has them, made from a folder of the upstream files."""
    hub = Hub()
    hub.publish(math.MATH500, [_jsonl(folder / "math500.jsonl.gz")])
    hub.publish(math.TRAIN12K, [parquet(_as_prm800k(read_rows(folder / "math_train12k.jsonl.gz", {})))])
    hub.publish(gsm8k.TEST, [parquet(read_rows(folder / "gsm8k_test.jsonl.gz", {}))])
    hub.publish(gsm8k.TRAIN, [parquet(read_rows(folder / "gsm8k_train.jsonl.gz", {}))])
    tasks = read_rows(folder / "mbpp.jsonl.gz", {})
    parts = [range(1, 11), *mbpp.SPLITS.values()]
    hub.publish(mbpp.MBPP, [parquet([row for row in tasks if row["task_id"] in part]) for part in parts])
    return hub


def parquet(rows: Sequence[Row]) -> bytes:
    """Rows as a parquet file."""
    import pyarrow
    import pyarrow.parquet

    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([dict(row.values) for row in rows]), file)
    return file.getvalue()


def _jsonl(file: Path) -> bytes:
    import gzip

    return gzip.decompress(file.read_bytes())


def _as_prm800k(rows: list[Row]) -> list[Row]:
    """The rows with that split's fault: two copies of one problem have the same id, and it knows every level."""
    values = [{**row.values, "level": row["level"] or 1} for row in rows]
    for row in values:
        if row["unique_id"] == math.TRAIN_COPY:
            row["unique_id"] = math.SHARED_ID
    return [Row(row, "") for row in values]
