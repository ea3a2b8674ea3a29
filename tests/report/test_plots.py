"""Plots show the metrics' own figures, name every series beside it, and are written as PNG and SVG."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text

from scorebench.api.errors import UserError
from scorebench.report import plots
from scorebench.report.summary import RunSummary
from scorebench.statistics.majority_vote import SamplePool, scale
from tests.made_episodes import episode, run_of
from tests.report.test_rows import made


@pytest.fixture
def rows() -> list[RunSummary]:
    return [made("base", 0, run_of(500, 263, 23, 79)), made("score", 0, run_of(500, 300, 29, 7))]


def words_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def test_accuracy_by_turn_draws_values_and_intervals_and_names_each_line(rows: list[RunSummary]) -> None:
    figure = plots.accuracy_by_turn(rows)
    (axes,) = figure.axes
    lines = [c for c in axes.containers if isinstance(c, ErrorbarContainer)]
    assert [line.get_label() for line in lines] == ["base", "score"]
    assert lines[1].lines[0].get_ydata() == pytest.approx([60.0, 64.4])
    five = rows[1].five()
    (bars,) = lines[1].lines[2]
    reach = [segment[:, 1] for segment in bars.get_segments()]
    assert reach[1] == pytest.approx([100 * five["acc_t2"].low, 100 * five["acc_t2"].high])
    assert {"base   52.6 → 41.4", "score   60.0 → 64.4"} <= set(words_of(figure))
    assert axes.get_legend() is None


def test_flips_draws_gains_to_the_right_and_losses_to_the_left(rows: list[RunSummary]) -> None:
    figure = plots.flips(rows)
    (axes,) = figure.axes
    gains, losses = (c for c in axes.containers if isinstance(c, BarContainer))
    assert [bar.get_width() for bar in gains] == pytest.approx([4.6, 5.8])
    assert [bar.get_width() for bar in losses] == pytest.approx([-15.8, -1.4])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["base", "score"]
    assert {"-11.2", "+4.4", "4.6", "15.8"} <= set(words_of(figure))
    assert gains[0].get_hatch() != losses[0].get_hatch()


METHODS = ["base", "self-refine", "pag", "pair-sft", "pair-sft+", "star", "star+", "rl-single-turn", "rl-multi-turn"]
METHODS += ["score-no-stage1", "score-no-shaping", "score-offline", "score"]


def test_13_methods_have_a_panel_each_with_the_baseline_in_it() -> None:
    figure = plots.accuracy_by_turn([made(method, 0, run_of(500, 263, 23, 79)) for method in METHODS])
    assert len(figure.axes) == 12
    for axes, method in zip(figure.axes, METHODS[1:], strict=True):
        assert axes.get_title("left").strip() == method
        lines = [c for c in axes.containers if isinstance(c, ErrorbarContainer)]
        assert [line.get_label() for line in lines] == ["base", method]
        assert lines[0].lines[0].get_color() == plots.colours(["base"])[0]
    assert len(plots.accuracy_by_turn([made(method) for method in METHODS[:6]]).axes) == 1


@pytest.mark.parametrize("draw", [plots.accuracy_by_turn, plots.flips, plots.edit_histograms])
@pytest.mark.parametrize("count", [2, 6, 13])
def test_no_two_words_of_a_plot_cover_each_other(draw: Callable[..., Figure], count: int) -> None:
    """All methods end at the same place here, which is where names would lie on each other."""
    figure = draw([made(method, 0, run_of(500, 263, 23, 79)) for method in METHODS[:count]])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    shown = [*figure.texts, *(text for axes in figure.axes for text in (*axes.texts, axes._left_title))]  # type: ignore[attr-defined]
    boxes = [
        (text.get_text(), Text.get_window_extent(text)) for text in shown if text.get_text()
    ]  # less the leader line
    for number, (one, box) in enumerate(boxes):
        for other, against in boxes[:number]:
            across = min(box.x1, against.x1) - max(box.x0, against.x0)
            along = min(box.y1, against.y1) - max(box.y0, against.y0)
            assert across <= 1 or along <= 2.5, f"{one!r} covers {other!r}"
    assert all(box.x0 >= -1 and box.x1 <= figure.bbox.width + 1 for _, box in boxes)


def test_a_family_shares_a_colour_the_baseline_is_grey_and_families_differ() -> None:
    found = dict(zip(METHODS, plots.colours(METHODS), strict=True))
    assert found["score"] == found["score-offline"] != found["star"]
    assert found["star"] == found["star+"]
    assert (
        len({found[method] for method in ("base", "self-refine", "pag", "pair-sft", "star", "rl-multi-turn", "score")})
        == 7
    )
    assert plots.colours(["mine", "yours", "mine-too"])[0] == plots.colours(["mine", "yours", "mine-too"])[2]


def test_a_note_says_how_many_what_intervals_and_what_smoothing(rows: list[RunSummary]) -> None:
    for figure in (plots.accuracy_by_turn(rows), plots.flips(rows)):
        (note,) = [words for words in words_of(figure) if words.startswith("n = ")]
        assert note == "n = 500 problems; 95 % intervals; no smoothing."
    stages = {"stage1": [{"step": n, "reward": 0.5} for n in range(1, 101)]}
    assert any("mean of the last 10 steps" in words for words in words_of(plots.training_curves(stages, "Training")))


def test_names_of_strangers_are_drawn_letter_by_letter(tmp_path: Path) -> None:
    names = ["$\\frac{1}{$", "$x$", "a_{$b", "\\$5", "half \ud800 a pair", "\x1b[31mred", "x" * 500]
    rows = [made(name, model={"name": "$\\bad{$", "digest": "0"}) for name in names]
    for draw in (plots.accuracy_by_turn, plots.flips, plots.edit_histograms):
        _, svg = plots.save(draw(rows), tmp_path / draw.__name__)
        assert all(name in svg.read_text() for name in names[:4])
    plots.save(
        plots.training_curves({"$\\frac{$": [{"step": 1, "reward": 1.0}]}, "Training of $\\frac{$"), tmp_path / "t"
    )


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
    assert [axes.get_title("left") for axes in first_row] == ["stage1", "stage2"]
    thin, thick = first_row[1].lines[2:4]  # of attempt 2
    assert np.asarray(thin.get_ydata())[-1] == pytest.approx(80)
    assert np.asarray(thick.get_ydata())[-1] == pytest.approx(79)  # of three steps at 30: 78, 79 and 80
    assert any("mean of one step and the last 3 steps" in words for words in words_of(figure))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="No training log"):
        plots.read_stages(tmp_path / "empty")
    (tmp_path / "stage1" / "steps.jsonl").write_text('{"step": 1\n')
    with pytest.raises(UserError, match="is no JSON"):
        plots.read_stages(tmp_path)


def test_rounds_of_imitation_show_their_loss_beside_a_stage_of_reinforcement(tmp_path: Path) -> None:
    for folder in ("stage1", "stage2/round1"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "stage1" / "steps.jsonl").write_text("".join(json.dumps(step(n)) + "\n" for n in (1, 2)))
    losses = "".join(json.dumps({"step": n, "reward": -0.5 / n, "loss": 0.5 / n}) + "\n" for n in (1, 2))
    (tmp_path / "stage2" / "round1" / "steps.jsonl").write_text(losses)
    axes = [axes for axes in plots.training_curves(plots.read_stages(tmp_path), "Training").axes if axes.get_visible()]
    assert [a.get_title("left") for a in axes if a.get_title("left")] == ["stage1", "stage2/round1"]
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


def test_files_are_png_and_svg_with_text_that_says_embedded(rows: list[RunSummary], tmp_path: Path) -> None:
    png, svg = plots.save(plots.accuracy_by_turn(rows), tmp_path / "new" / "accuracy.png")
    assert png.read_bytes().startswith(b"\x89PNG")
    text = svg.read_text()
    assert "embedded problems, not the benchmark" in text
    assert ">score   60.0 → 64.4<" in text
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
