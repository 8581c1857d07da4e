"""The confusion matrix of the flags."""

from __future__ import annotations

import numpy as np

from offbeat_training.report.chart import Axis, Chart, Heat, Panel
from offbeat_training.report.inputs import ReportInputs


def confusion_pane(inputs: ReportInputs) -> Chart:
    """Counts, and their share of the normal or the anomalous lines, which is what a cell's colour shows."""
    confusion, unit = inputs.model.quality.confusion, inputs.comparison.unit
    counts = np.array(
        [
            [confusion.false_negatives, confusion.true_positives],
            [confusion.true_negatives, confusion.false_positives],
        ]
    )
    shares = counts / counts.sum(axis=1, keepdims=True)
    words = tuple(
        tuple(f"{count:,}\n{share:.1%}" for count, share in zip(*row, strict=True))
        for row in zip(counts.tolist(), shares.tolist(), strict=True)
    )
    heat = Heat(name="share of the row", edges=np.array([-0.5, 0.5, 1.5]), values=shares, words=words)
    x = Axis(title="flagged as", names=("normal", "anomalous"), low=-0.5, high=1.5)
    y = Axis(title="truly", names=("anomalous", "normal"), low=-0.5, high=1.5)
    panel = Panel(marks=(heat,), x=x, y=y, height_px=320)
    note = f"{unit.capitalize()} by {unit}; nothing is point-adjusted."
    return Chart(name="confusion", title="Confusion matrix", note=note, panels=(panel,))
