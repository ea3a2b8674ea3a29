"""Ctrl-C for the processes that tests start."""

from __future__ import annotations

import signal


def heed_ctrl_c() -> None:
    """For Popen's preexec_fn. A test run in the background ignores SIGINT, and its children would do the same."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
