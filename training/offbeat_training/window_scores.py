"""The errors of a trained model: of windows, of the rows of a series, of the rows of a table."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from offbeat.data import row_means, sliding_windows, window_starts
from offbeat.errors import InvalidWindowError
from offbeat.result import FloatArray
from offbeat_training.checkpoint import Checkpoint
from offbeat_training.checkpoint_draft import errors_of


def score(checkpoint: Checkpoint, values: FloatArray) -> NDArray[np.float64]:
    """The error of each row of `values` [row, feature], or of each window of [window, time, feature], in raw units.

    A row of a series gets the mean error of all windows that cover it, a row of a table its own. Raises
    InvalidWindowError where the values do not fit the model, or hold fewer rows than one window.
    """
    model = checkpoint.build_model()
    normalised = checkpoint.normalisation.apply(torch.from_numpy(values)).numpy()
    if values.ndim == 2 and checkpoint.window is not None:
        length, n_rows = checkpoint.window.length, len(values)
        _require(n_rows >= length, values, f"at least {length} rows, the length of one window")
        starts = window_starts(n_rows, length)
        return row_means(errors_of(model, sliding_windows(normalised, length), starts), starts, length, n_rows)
    _require((values.ndim == 3) == model.has_time, values, "rows [row, feature] of a table")
    if values.ndim == 3 and checkpoint.window is not None and not model.is_time_dynamic:
        length = checkpoint.window.length
        _require(values.shape[1] == length, values, f"windows of {length} steps")
    return errors_of(model, normalised, np.arange(len(values))).astype(np.float64)


def _require(condition: bool, values: FloatArray, expected: str) -> None:
    if not condition:
        raise InvalidWindowError(f"X has shape {values.shape}; expected {expected}")
