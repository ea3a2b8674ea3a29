"""Plots: accuracy by attempt, flips, edit distances, trainings, majority votes. Functions that draw return a Figure."""

from scorebench.report.plots.drawing import colours, file_word, save, write_svg
from scorebench.report.plots.results import accuracy_by_turn, edit_histograms, flips
from scorebench.report.plots.scaling import scaling_curves
from scorebench.report.plots.trainings import read_stages, training_curves

__all__ = [
    "accuracy_by_turn",
    "colours",
    "edit_histograms",
    "file_word",
    "flips",
    "read_stages",
    "save",
    "scaling_curves",
    "training_curves",
    "write_svg",
]
