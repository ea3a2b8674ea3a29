"""Plots show the metrics' own figures, tell series apart without colour, and are written as PNG and SVG."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.container import BarContainer, ErrorbarContainer

from scorebench.api.errors import UserError
from scorebench.report import plots
from scorebench.report.summary import RunSummary
from scorebench.statistics.majority_vote import SamplePool, scale
from tests.made_episodes import episode, run_of
from tests.report.test_rows import made


@pytest.fixture
def rows() -> list[RunSummary]:
    return [made("base", 0, run_of(500, 263, 23, 79)), made("score", 0, run_of(500, 300, 29, 7))]


def test_accuracy_by_turn_draws_values_and_intervals(rows: list[RunSummary]) -> None:
    (axes,) = plots.accuracy_by_turn(rows).axes
    lines = [c for c in axes.containers if isinstance(c, ErrorbarContainer)]
    assert [line.get_label() for line in lines] == ["base", "score"]
    assert lines[1].lines[0].get_ydata() == pytest.approx([60.0, 64.4])
    five = rows[1].five()
    (bars,) = lines[1].lines[2]
    reach = [segment[:, 1] for segment in bars.get_segments()]
    assert reach[1] == pytest.approx([100 * five["acc_t2"].low, 100 * five["acc_t2"].high])


def test_flips_draws_gains_to_the_right_and_losses_to_the_left(rows: list[RunSummary]) -> None:
    (axes,) = plots.flips(rows).axes
    gains, losses = (c for c in axes.containers if isinstance(c, BarContainer))
    assert [bar.get_width() for bar in gains] == pytest.approx([4.6, 5.8])
    assert [bar.get_width() for bar in losses] == pytest.approx([-15.8, -1.4])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["base  (-11.2)", "score  (+4.4)"]
    assert gains[0].get_hatch() != losses[0].get_hatch()


def test_edit_histograms_hold_every_episode() -> None:
    copied = made("base", 0, [episode(str(i), "11", texts=["same", "same"]) for i in range(10)])
    rewritten = made("score", 0, [episode(str(i), "11", texts=["abcd", "wxyz"]) for i in range(10)])
    panels = plots.edit_histograms([copied, rewritten]).axes
    heights = [[bar.get_height() for bar in axes.patches] for axes in panels]  # type: ignore[attr-defined]
    assert [sum(bars) for bars in heights] == pytest.approx([100, 100])
    assert heights[0][0] == pytest.approx(100)
    assert heights[1][10] == pytest.approx(100)


def step(number: int) -> dict[str, object]:
    right = [0.5, 0.5 + number / 100]
    return {"step": number, "correct": right, "i_to_c": 0.1, "c_to_i": 0.05, "kl": [0.01, 0.02], "tokens": [9.0, 12.0]}


def test_training_curves_read_the_logs_of_each_stage(tmp_path: Path) -> None:
    for stage, length in (("stage1", 10), ("stage2", 30)):
        (tmp_path / stage).mkdir()
        lines = (json.dumps(step(number)) + "\n" for number in range(1, length + 1))
        (tmp_path / stage / "steps.jsonl").write_text("".join(lines))
    stages = plots.read_stages(tmp_path)
    figure = plots.training_curves(stages, "Training")
    first_row = figure.axes[:2]
    assert [axes.get_title() for axes in first_row] == ["stage1", "stage2"]
    thin, thick = first_row[1].lines[2:4]
    assert np.asarray(thin.get_ydata())[-1] == pytest.approx(80)
    assert np.asarray(thick.get_ydata()) == pytest.approx(np.asarray(thin.get_ydata()))  # a window of one step at 30
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="No training log"):
        plots.read_stages(tmp_path / "empty")
    (tmp_path / "stage1" / "steps.jsonl").write_text('{"step": 1')
    with pytest.raises(UserError, match="is no JSON"):
        plots.read_stages(tmp_path)


def test_rounds_of_imitation_show_their_loss_beside_a_stage_of_reinforcement(tmp_path: Path) -> None:
    for folder in ("stage1", "stage2/round1"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "stage1" / "steps.jsonl").write_text("".join(json.dumps(step(n)) + "\n" for n in (1, 2)))
    losses = "".join(json.dumps({"step": n, "reward": -0.5 / n, "loss": 0.5 / n}) + "\n" for n in (1, 2))
    (tmp_path / "stage2" / "round1" / "steps.jsonl").write_text(losses)
    axes = [axes for axes in plots.training_curves(plots.read_stages(tmp_path), "Training").axes if axes.get_visible()]
    assert [a.get_title() for a in axes if a.get_title()] == ["stage1", "stage2/round1"]
    assert [list(np.asarray(a.lines[0].get_ydata())) for a in axes if a.get_ylabel() == "loss"] == [[0.5, 0.25]]
    assert [a.get_xlabel() for a in axes].count("step") == 2
    alone = plots.training_curves({"": [{"step": 1, "reward": 0.5}]}, "Training of a method that logs no more").axes
    assert [a.get_ylabel() for a in alone] == ["reward"]


def test_scaling_curves_show_both_ways_against_attempts_and_tokens() -> None:
    keys = np.zeros((8, 2), dtype=np.int64)
    curve = scale([SamplePool("a", keys, keys == 0, np.full((8, 2), 10))], [2, 4, 8])
    attempts, tokens = plots.scaling_curves({"score": curve}, "Scaling").axes
    assert [list(np.asarray(line.get_xdata())) for line in attempts.lines] == [[2, 4, 8]] * 2
    assert [list(np.asarray(line.get_xdata())) for line in tokens.lines] == [[20, 40, 80]] * 2
    assert {line.get_linestyle() for line in attempts.lines} == {"--", "-"}
    assert len(attempts.collections) == 2


def test_no_two_of_twenty_series_look_alike_and_seven_differ_without_colour() -> None:
    looks = [plots.style(number) for number in range(20)]
    assert len({tuple(look.items()) for look in looks}) == 20
    assert len({look["marker"] for look in looks[:7]}) == 7


def test_files_are_png_and_svg_with_text_that_says_embedded(rows: list[RunSummary], tmp_path: Path) -> None:
    png, svg = plots.save(plots.accuracy_by_turn(rows), tmp_path / "new" / "accuracy.png")
    assert png.read_bytes().startswith(b"\x89PNG")
    text = svg.read_text()
    assert "embedded problems, not the benchmark" in text
    assert ">score<" in text
    again = plots.save(plots.accuracy_by_turn(rows), tmp_path / "again")[1]
    assert again.read_text() == text


def test_runs_that_do_not_belong_together_are_refused(rows: list[RunSummary], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot share a plot"):
        plots.flips([*rows, made("base", data="hub")])
    with pytest.raises(UserError, match="nothing to plot"):
        plots.edit_histograms([made("base", 0, [episode("a", "1")])])
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write the plot"):
        plots.save(plots.flips(rows), tmp_path / "file" / "plot.png")
