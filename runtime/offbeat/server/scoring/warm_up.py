"""A model's first batches, before anyone waits for them."""

from __future__ import annotations

from time import monotonic

import numpy as np

from offbeat.bundle import Manifest
from offbeat.result import DEFAULT_OUTPUTS, FloatArray
from offbeat.server.scoring.served import ServedModel

# A model so slow that its greatest batches take longer is warm after the smaller ones.
_MAX_SECONDS = 2.0


def warm_up(model: ServedModel) -> None:
    """Runs batches of 1, 2, 4 … and `max_batch_size` windows, and learns what they cost.

    Stops where the next batch would take the whole to more than two seconds. Raises BackendError.
    """
    end = monotonic() + _MAX_SECONDS
    n_rows, max_rows = 1, model.batching.max_batch_size
    while n_rows <= max_rows:
        windows = normal_windows(model.scorer.manifest, n_rows)
        # The first run makes room and loads code: it tells nothing of the next.
        model.scorer.run(windows, DEFAULT_OUTPUTS)
        started = monotonic()
        model.scorer.run(windows, DEFAULT_OUTPUTS)
        ended = monotonic()
        model.cost.record(n_rows, ended - started, ended)
        # The next has twice the rows, and runs twice.
        if ended + 4 * (ended - started) > end:
            return
        n_rows = 2 * n_rows if n_rows == max_rows else min(2 * n_rows, max_rows)


def normal_windows(manifest: Manifest, n_rows: int) -> FloatArray:
    """Windows at the mean of the training data, of the trained length."""
    steps = () if manifest.window is None else (manifest.window.length,)
    mean = np.asarray(manifest.normalisation.mean, np.float32)
    return np.ascontiguousarray(np.broadcast_to(mean, (n_rows, *steps, len(mean))))
