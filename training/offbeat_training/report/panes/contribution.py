"""What each feature contributes to the error, row by row."""

from __future__ import annotations

import numpy as np

from offbeat.result import BoolArray, FloatArray
from offbeat_training.report.chart import Axis, Floats, Heat, Panel
from offbeat_training.report.timeline import Timeline

N_COLUMNS = 500
MAX_DETAIL_COLUMNS = 2500
MAX_FEATURES = 40
# Where the anomaly score ends too: twice the threshold.
HIGHEST = 2.0


def contribution_panel(
    feature_error: FloatArray, names: tuple[str, ...], threshold: float, timeline: Timeline, kept: BoolArray
) -> Panel:
    """Feature error over threshold, 1 where a feature alone reaches it; the first of `names` on top.

    `feature_error` is [line, feature]. A column shows the highest of several lines, but each line near those `kept`.
    """
    begins = _columns(len(feature_error), kept)
    highest = np.maximum.reduceat(feature_error, begins, axis=0)
    shares: Floats = (highest / threshold).T[::-1].astype(np.float32)
    edges = timeline.edges[np.append(begins, len(feature_error))]
    heat = Heat(name="of the threshold:", edges=edges, values=shares, high=HIGHEST)
    return Panel(
        title="contribution of each feature, in units of the threshold",
        marks=(heat,),
        x=timeline.axis,
        y=Axis(names=names[::-1], low=-0.5, high=len(names) - 0.5),
        height_px=max(60, min(18 * len(names), 640)),
    )


def _columns(n_lines: int, kept: BoolArray) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The first line of each column."""
    evenly = np.linspace(0, n_lines, min(n_lines, N_COLUMNS), endpoint=False).astype(np.int64)
    if np.count_nonzero(kept) > MAX_DETAIL_COLUMNS:
        return np.unique(evenly)
    return np.unique(np.concatenate([evenly, np.flatnonzero(kept)]))
