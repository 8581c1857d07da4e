"""The losses, epoch by epoch."""

from __future__ import annotations

import numpy as np

from offbeat_training.report import palette
from offbeat_training.report.chart import Axis, Chart, Dash, Line, Panel, Points
from offbeat_training.report.history import TrainingHistory
from offbeat_training.report.panes.scale import error_axis, inside


def training_pane(history: TrainingHistory) -> Chart:
    """A line per loss; the lowest of the last one, the held-out loss by custom, is marked."""
    y = error_axis("loss", np.concatenate(list(history.losses.values())), None)
    lines = [
        Line(name=name.replace("_", " "), x=history.epochs, y=inside(y, losses), colour=colour, dash=dash)
        for (name, losses), (colour, dash) in zip(history.losses.items(), _styles(len(history.losses)), strict=True)
    ]
    name, losses = next(((n, v) for n, v in history.losses.items() if "validation" in n), (None, None))
    marks: list[Line | Points] = list(lines)
    if name is not None and losses is not None:
        best = int(np.argmin(losses))
        x, low = history.epochs[best : best + 1], losses[best : best + 1]
        label = f"lowest, {losses[best]:.4g} in epoch {history.epochs[best]:.0f}"
        marks.append(Points(name=label, x=x, y=low, colour=palette.THRESHOLD, symbol="diamond"))
    panel = Panel(marks=tuple(marks), x=Axis(title="epoch"), y=y, height_px=320)
    return Chart(name="training", title="Training history", note="", panels=(panel,))


def _styles(n: int) -> list[tuple[str, Dash]]:
    return [palette.CONTENDERS[i % len(palette.CONTENDERS)] for i in range(n)]
