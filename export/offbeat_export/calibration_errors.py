"""The errors that a model version gives the windows of a data set."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.bundle import Manifest
from offbeat.data import Dataset, sliding_windows
from offbeat.errors import DataError
from offbeat.result import FloatArray
from offbeat.scorer import Scorer
from offbeat_training.split import anomalous_starts, normal_starts

_WINDOWS_AT_ONCE = 1024
Indices = NDArray[np.int64]


class CalibrationErrors(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Errors [window] of the normal windows, and of those with a label that says otherwise."""

    normal: FloatArray
    anomalous: FloatArray

    @classmethod
    def none(cls) -> CalibrationErrors:
        """Of no data."""
        return cls(normal=np.empty(0, np.float32), anomalous=np.empty(0, np.float32))


def calibration_errors(scorer: Scorer, dataset: Dataset, stride: int | None = None) -> CalibrationErrors:
    """Scores every window of the data, a new one each `stride` rows, that of training where none is given.

    A window is anomalous where one of its rows is. Raises DataError where the data do not fit the model.
    """
    windows, normal, anomalous = _windows(scorer.manifest, dataset, stride)
    return CalibrationErrors(normal=_errors(scorer, windows, normal), anomalous=_errors(scorer, windows, anomalous))


def _windows(manifest: Manifest, dataset: Dataset, stride: int | None) -> tuple[FloatArray, Indices, Indices]:
    """What to score, and the positions in it of normal and of anomalous windows."""
    values, labels, window = dataset.values, dataset.labels, manifest.window
    if window is not None and values.ndim == 2:
        # A view: the windows overlap.
        size = (len(values), window.length, stride or window.stride, labels)
        return sliding_windows(values, window.length), normal_starts(*size), anomalous_starts(*size)
    if (window is None) != (values.ndim == 2):
        raise DataError(f"{dataset.name}: holds windows; model {manifest.name!r} scores rows")
    is_anomalous = np.zeros(len(values), np.bool_) if labels is None else labels
    return values, np.flatnonzero(~is_anomalous), np.flatnonzero(is_anomalous)


def _errors(scorer: Scorer, windows: FloatArray, positions: Indices) -> FloatArray:
    parts = [np.empty(0, np.float32)]
    for start in range(0, len(positions), _WINDOWS_AT_ONCE):
        batch = np.ascontiguousarray(windows[positions[start : start + _WINDOWS_AT_ONCE]])
        error = scorer.score(batch, ("reconstruction_error",)).reconstruction_error
        if error is not None:
            parts.append(error)
    return np.concatenate(parts)
