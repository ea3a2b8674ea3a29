"""Runs on disk: an old one is still read to the last digit, and a damaged one does not hide the others."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from scorebench.api.errors import UserError
from scorebench.report.frames import attempts_frame
from scorebench.report.rows import row
from scorebench.report.stored import Wanted, read_summaries
from scorebench.storage.runs import all_runs

OLD = Path(__file__).parent / "old_results"  # 40 episodes of a run that version 0.1.0 wrote, without `reading`
NAME = "math-embedded-base-embedded-math-s0-30af6ec1"

# What version 0.1.0 printed for these rows.
FIVE = {
    "acc_t1": (0.675, 0.520177, 0.799155),
    "acc_t2": (0.55, 0.398291, 0.692947),
    "delta": (-0.125, -0.302581, 0.056058),
    "i_to_c": (0.1, 0.03958, 0.230518),
    "c_to_i": (0.225, 0.123161, 0.375031),
}


def test_the_five_metrics_of_an_old_run_are_what_they_were() -> None:
    (summary,) = read_summaries(OLD).summaries
    cells = row(summary)
    for name, figures in FIVE.items():
        assert tuple(cells[f"{name}{end}"] for end in ("", "_low", "_high")) == figures
    described = {"n": 40, "truncated": 0, "errors": 0, "tokens": 31.15, "seconds": 1.811, "run": NAME, "limit": 40}
    assert {name: cells[name] for name in described} == described


def test_an_old_run_has_the_new_metrics_that_its_rows_hold() -> None:
    (summary,) = read_summaries(OLD).summaries
    cells = row(summary)
    assert (cells["cl"], cells["cs"]) == (round(18 / 27, 6), round(4 / 13, 6))
    assert cells["stated_t1"] is None
    assert cells["none_t1"] == 0.0
    frame = attempts_frame(all_runs(OLD / "runs"))
    assert len(frame) == 80
    assert set(frame["reading"]) == {""}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The old run twice; a test damages the one called broken."""
    for name in (NAME, "broken"):
        shutil.copytree(OLD / "runs" / NAME, tmp_path / "runs" / name)
    return tmp_path


def damage_identity(change: Callable[[dict[str, object]], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        record = json.loads((folder / "run.json").read_text())
        change(record["identity"])
        (folder / "run.json").write_text(json.dumps(record))

    return damage


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no JSON": lambda folder: (folder / "run.json").write_text("{"),
    "a list": lambda folder: (folder / "run.json").write_text("[]"),
    "empty": lambda folder: (folder / "run.json").write_bytes(b""),
    "no text": lambda folder: (folder / "run.json").write_bytes(b"\xff\xfe{}"),
    "a foreign record": lambda folder: (folder / "run.json").write_text('{"identity": {"name": "mlflow"}}'),
    "no identity": lambda folder: (folder / "run.json").write_text('{"run_id": 7}'),
    "no name": damage_identity(lambda identity: identity.update(method={"name": ["score"]})),
    "a model that is no record": damage_identity(lambda identity: identity.update(model="x")),
    "sampling that is no record": damage_identity(lambda identity: identity.update(sampling=[1])),
    "run.yaml": lambda folder: (folder / "run.yaml").write_bytes(b"\x00: ["),
    "rows that are none": lambda folder: (folder / "episodes.jsonl").write_bytes(b"\xff\x00\n7\n"),
    "no rows": lambda folder: (folder / "episodes.jsonl").unlink(),
    "validation": damage_identity(lambda identity: identity.update(split="validation")),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_run_that_cannot_be_shown_is_named_and_the_others_are_shown(
    out: Path, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    damage(out / "runs" / "broken")
    with caplog.at_level(logging.WARNING):
        found = read_summaries(out)
    assert [summary.identity.run for summary in found.summaries] == [NAME]
    assert "broken" in " ".join([*found.left_out, caplog.text])


def test_filters_take_what_they_name_and_say_what_there_is(out: Path) -> None:
    assert len(read_summaries(out, Wanted(method=["base", "score"], task=["math"])).summaries) == 2
    assert [s.identity.run for s in read_summaries(out, Wanted(run=["broken"])).summaries] == ["broken"]
    with pytest.raises(UserError, match="No run has the method score; there are base"):
        read_summaries(out, Wanted(method=["score"]))
    with pytest.raises(UserError, match="There are no runs in"):
        read_summaries(out / "nothing")
