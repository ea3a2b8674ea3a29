"""Inspect's logs. files/inspect/sums.eval was written by Inspect itself (made_by/inspect_logs.py)."""

# pyright: reportMissingImports=false

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from scorebench.api.errors import UserError
from scorebench.api.types import Problem
from scorebench.report.export import export, read_run
from scorebench.storage.transcripts import read_transcripts
from tests.formats.made_by.inspect_logs import SECOND
from tests.formats.made_by.lm_eval_samples import REPLIES
from tests.formats.made_runs import REVIEW, made_run
from tests.formats.test_export import own, verdicts
from tests.formats.test_reading import SUMS

LOG = Path(__file__).parent / "files" / "inspect" / "sums.eval"


def test_without_inspect_ai_a_log_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    with pytest.raises(UserError, match=r"is a log of Inspect's, .* pip install 'scorebench\[inspect\]'"):
        read_transcripts(LOG, SUMS)
    with pytest.raises(UserError, match=r"^inspect_ai, .* pip install 'scorebench\[inspect\]'"):
        export(made_run(tmp_path / "runs", "math"), "inspect", tmp_path / "run.eval")
    assert not (tmp_path / "run.eval").exists()


@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_a_log_that_was_cut_off_is_refused(tmp_path: Path, keep: float) -> None:
    content = LOG.read_bytes()
    (tmp_path / "x.eval").write_bytes(content[: int(keep * len(content))])
    with pytest.raises(UserError, match="damaged or was cut off"):
        read_transcripts(tmp_path / "x.eval", SUMS)


@pytest.mark.formats
def test_every_epoch_of_a_log_is_a_sample_and_every_answer_an_attempt(tmp_path: Path) -> None:
    shutil.copyfile(LOG, tmp_path / "no-log.txt")
    found = read_transcripts(tmp_path / "no-log.txt", SUMS)
    assert not found.complaints
    told = [(t.problem.id, t.episode.sample, [a.reply.text for a in t.episode.attempts]) for t in found.read]
    expected = zip(("sums/100", "sums/101", "sums/102"), REPLIES, strict=True)
    assert sorted(told) == [(name, sample, [first, SECOND]) for name, first in expected for sample in (0, 1)]


@pytest.mark.formats
def test_inspect_s_own_count_of_samples_names_no_problem() -> None:
    found = read_transcripts(LOG, tuple(Problem(f"other/{number}", f"Other {number}", "1") for number in range(10)))
    assert not found.read
    assert len(found.complaints) == 6


@pytest.mark.formats
def test_a_log_as_json_is_read_too(tmp_path: Path) -> None:
    from inspect_ai.log import read_eval_log, write_eval_log

    write_eval_log(read_eval_log(str(LOG)), str(tmp_path / "x.json"), format="json")
    assert len(read_transcripts(tmp_path / "x.json", SUMS).read) == 6


@pytest.mark.formats
@pytest.mark.parametrize("task", ["math", "humaneval"])
def test_a_run_as_a_log_keeps_its_verdicts_and_its_reviews(tmp_path: Path, task: str) -> None:
    from inspect_ai.log import read_eval_log

    run = made_run(tmp_path / "runs", task)
    file = tmp_path / "run.eval"
    export(run, "inspect", file)
    assert verdicts(run, file) == own(run, 1, 2)
    log = read_eval_log(str(file))
    assert log.samples
    assert all(REVIEW in [message.text for message in sample.messages] for sample in log.samples)
    letters = {(str(s.id), s.epoch - 1): [s.scores[f"turn{t}"].value for t in (1, 2)] for s in log.samples if s.scores}
    assert letters == {
        key: ["C" if outcome == "pass" else "I" for outcome, _ in found] for key, found in own(run, 1, 2).items()
    }
    assert log.results
    five = read_run(run).summary.five()
    assert [score.metrics["accuracy"].value for score in log.results.scores] == [five["acc_t1"][0], five["acc_t2"][0]]
