"""Messages on a socket: four bytes of length, then the message."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable

from scorebench.grading.sandbox.codec import MAX_BYTES, NotPlainError

_LENGTH = struct.Struct("<I")


class ClosedError(OSError):
    """The other side is gone."""


def send(fd: int, message: bytes, wait: Callable[[], None] | None = None) -> None:
    """Write one message; ClosedError if nobody reads any more.

    On a socket that does not block, `wait` is called whenever it is full: it returns when there is room, or raises.
    """
    data = memoryview(_LENGTH.pack(len(message)) + message)
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            if wait is None:
                raise
            wait()
        except (BrokenPipeError, ConnectionResetError):
            raise ClosedError("the other side is gone") from None


def receive(fd: int, wait: Callable[[], None] | None = None) -> bytes:
    """Wait for one message and return it; ClosedError at the end, NotPlainError if it claims to be too long.

    `wait` is as in `send`: called when nothing is there to read.
    """
    (length,) = _LENGTH.unpack(_exactly(fd, _LENGTH.size, wait))
    if length > MAX_BYTES:
        raise NotPlainError(f"a message of {length:,} bytes is longer than {MAX_BYTES:,}")
    return _exactly(fd, length, wait)


def _exactly(fd: int, length: int, wait: Callable[[], None] | None) -> bytes:
    data = bytearray()
    while len(data) < length:
        try:
            part = os.read(fd, min(length - len(data), 2**20))
        except BlockingIOError:
            if wait is None:
                raise
            wait()
            continue
        except ConnectionResetError:
            part = b""
        if not part:
            raise ClosedError("the other side is gone")
        data += part
    return bytes(data)
