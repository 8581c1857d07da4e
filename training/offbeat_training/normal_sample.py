"""What was normal in training, in few numbers: whoever watches the model later holds the present against it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offbeat.provenance import N_QUANTILES, NormalQuantiles
from offbeat.result import FloatArray
from offbeat_training.training_data import TrainingData

# Enough for every quantile that is kept, of windows of any size.
_MAX_VALUES = 2**21
_MIN_WINDOWS = 64
# Beyond, the quantiles would outweigh everything else in the file.
_MAX_FEATURES = 1000


def normal_quantiles(data: TrainingData, held_out: FloatArray) -> NormalQuantiles | None:
    """Quantiles of each feature in raw units over windows learnt from, evenly spaced, and of the errors `held_out` [window].

    None where there are too many features, or where one of the errors is not finite.
    """
    n_features = data.raw_windows.shape[-1]
    if n_features > _MAX_FEATURES or not np.isfinite(held_out).all():
        return None
    n_values = int(np.prod(data.raw_windows.shape[1:]))
    n_windows = min(data.training.size, max(_MIN_WINDOWS, _MAX_VALUES // n_values))
    chosen = data.training[np.linspace(0, data.training.size - 1, n_windows).round().astype(np.int64)]
    values = np.asarray(data.raw_windows[chosen], np.float32).reshape(-1, n_features)
    return NormalQuantiles(
        n_windows=int(n_windows),
        features=tuple(_quantiles(values[:, feature]) for feature in range(n_features)),
        errors=_quantiles(held_out),
    )


def _quantiles(values: NDArray[np.float32]) -> tuple[float, ...]:
    """To the nine digits that tell float32 values apart."""
    found = np.quantile(values.astype(np.float64), np.linspace(0, 1, N_QUANTILES))
    return tuple(float(f"{value:.9g}") for value in found)
