"""The threshold that a share of the normal errors stays below."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offbeat.result import Threshold
from offbeat_training.thresholds.positive import positive


def percentile_threshold(errors: NDArray[np.floating], percentile: float) -> Threshold:
    """The percentile, in percent, of the `errors` [window] of held-out normal windows, linear between order statistics.

    About 100 − `percentile` % of normal windows exceed it: for n windows (100 − percentile) % · (n − 1) / (n + 1) +
    1 / (n + 1) on average, whatever the errors' distribution, but for the interpolation.
    """
    value = float(np.percentile(errors.astype(np.float64), percentile))
    return Threshold(value=positive(value), method="percentile", n_windows=errors.size, percentile=percentile)
