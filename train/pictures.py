"""The pictures of a report: confusion matrix, reliability diagrams, precision-recall curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import ConfusionMatrixDisplay, precision_recall_curve

from brinkline.model.labels import SIGNALS, STANCES
from brinkline.train.metrics import BINS, Truth

FloatArray = NDArray[np.float64]

# Okabe and Ito's colours, which colour-blind readers can tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
_STYLES = ("-", "--", "-.", ":")


def draw_confusion(matrix: list[list[int]], path: Path) -> None:
    """Draw the stance confusion matrix: rows are the true labels, columns the predicted ones."""
    figure = Figure(figsize=(4.6, 4), layout="constrained")
    axes = figure.add_subplot()
    display = ConfusionMatrixDisplay(np.array(matrix), display_labels=STANCES)
    display.plot(ax=axes, cmap="Blues", colorbar=False)
    axes.set_title("Stance")
    _save(figure, path)


def draw_reliability(truth: Truth, stance: FloatArray, signals: FloatArray, path: Path) -> None:
    """Draw how often what was given a probability came true: stance (most probable label) and signals."""
    figure = Figure(figsize=(5, 4.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    hit = (stance.argmax(axis=1) == truth.stance).astype(np.float64)
    curves = {"stance": (stance.max(axis=1), hit)}
    curves |= {
        name: (signals[:, i], truth.signals[:, i].astype(np.float64)) for i, name in enumerate(SIGNALS)
    }
    for (name, (confidence, came_true)), colour, style in zip(curves.items(), _COLOURS, _STYLES, strict=True):
        x, y = _bins(confidence, came_true)
        axes.plot(x, y, style, marker="o", markersize=4, color=colour, label=name)
    axes.set(xlabel="mean probability in bin", ylabel="share that is true", title="Reliability")
    axes.legend()
    _save(figure, path)


def draw_precision_recall(truth: Truth, signals: FloatArray, path: Path) -> None:
    """Draw precision against recall of each signal that occurs."""
    figure = Figure(figsize=(5, 4.6), layout="constrained")
    axes = figure.add_subplot()
    for i, (name, colour, style) in enumerate(zip(SIGNALS, _COLOURS, _STYLES, strict=False)):
        if truth.signals[:, i].any():
            precision, recall, _ = precision_recall_curve(truth.signals[:, i], signals[:, i])
            axes.step(recall, precision, style, where="post", color=colour, label=name)
    axes.set(xlabel="recall", ylabel="precision", title="Signals", xlim=(0, 1.01), ylim=(0, 1.01))
    if axes.lines:
        axes.legend()
    _save(figure, path)


def _bins(confidence: FloatArray, came_true: FloatArray) -> tuple[FloatArray, FloatArray]:
    which = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    size = np.bincount(which, minlength=BINS)
    filled = size > 0
    x = np.bincount(which, weights=confidence, minlength=BINS)[filled] / size[filled]
    y = np.bincount(which, weights=came_true, minlength=BINS)[filled] / size[filled]
    return x, y


def _save(figure: Figure, path: Path) -> None:
    # The canvas is named so that drawing needs no display and leaves pyplot's global state alone.
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=130, metadata={"Software": None})
