"""Ctrl-C and a full disk end a command with one sentence, wherever it is; the same command goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.test_run import SHORT, command, rows, rows_done, scorebench, steps_done
from tests.signals import heed_ctrl_c

TRAIN = ("run", "--method", "score", "--task", "math", *SHORT, "--limit", "40")
PLAY = ("run", "--method", "base", "--task", "math")
CODE = ("run", "--method", "base", "--task", "mbpp", "--limit", "400")


def interrupted(words: tuple[str, ...], folder: Path, when: Callable[[], bool], everyone: bool) -> tuple[int, str]:
    """Starts a command and sends SIGINT as soon as `when` is true: exit status and standard error.

    everyone: to the whole process group, as a terminal does for Ctrl-C, and not to the command alone.
    """
    with (folder / "stderr").open("w") as log:
        process = subprocess.Popen(
            command(*words),
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
            preexec_fn=heed_ctrl_c,
        )
        while not when() and process.poll() is None:
            time.sleep(0.02)
        assert process.poll() is None, "it had ended before it could be interrupted"
        (os.killpg if everyone else os.kill)(process.pid, signal.SIGINT)
        try:
            status = process.wait(timeout=120)
        finally:
            process.kill()
    return status, (folder / "stderr").read_text()


@pytest.mark.parametrize("everyone", [True, False], ids=["group", "command"])
@pytest.mark.parametrize("words", [PLAY, CODE, TRAIN], ids=["evaluation", "code", "training"])
def test_ctrl_c_is_one_sentence(tmp_path: Path, words: tuple[str, ...], everyone: bool) -> None:
    def begun() -> bool:
        return rows_done(tmp_path) >= 20 if words != TRAIN else steps_done(tmp_path, "stage1") >= 2

    status, said = interrupted(words, tmp_path, begun, everyone)
    assert status == 130
    assert said.splitlines()[-1] == "scorebench: stopped; the same command goes on from here."
    for noise in ("Traceback", "Exception", "_GatheringFuture", "KeyboardInterrupt", "never retrieved"):
        assert noise not in said
    before = rows_done(tmp_path)
    assert scorebench(*words, folder=tmp_path).returncode == 0
    if words != TRAIN:
        assert 20 <= before <= rows_done(tmp_path) == len(rows(tmp_path, "base"))


def test_a_full_disk_in_evaluation_is_one_sentence_and_the_same_command_goes_on(tmp_path: Path) -> None:
    """The kernel's limit on a file's size stands for a disk that is full when a row is written."""
    limited = ["bash", "-c", 'ulimit -f 100; exec "$@"', "limited", *command(*PLAY)]
    done = subprocess.run(limited, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2, done.stderr
    assert "make room" in done.stderr.splitlines()[-1]
    for noise in ("Traceback", "_GatheringFuture", "never retrieved"):
        assert noise not in done.stderr
    assert 0 < rows_done(tmp_path) < 500
    assert scorebench(*PLAY, folder=tmp_path).returncode == 0
