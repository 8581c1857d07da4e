"""Load of a machine as Gaussian noise: about half busy, or nearly full."""

from __future__ import annotations

import numpy as np

from offbeat.data import Dataset
from offbeat.errors import require
from offbeat_training.generators.shape import feature_names, require_shape

NORMAL_MEAN, NORMAL_DEVIATION = 0.5, 0.1
HIGH_MEAN, HIGH_DEVIATION = 0.9, 0.2


def load_windows(
    n_normal: int = 1000, n_high: int = 0, length: int = 50, n_features: int = 1, *, seed: int = 0
) -> Dataset:
    """Windows [window, time, feature] of load as a part of 1: `n_normal` normal ones, then `n_high` labelled ones.

    Normal load is Gaussian with mean 0.5 and standard deviation 0.1, high load with 0.9 and 0.2, every value on its own
    and none clipped. The normal windows do not depend on `n_high`. Raises ConfigurationError for sizes that make no window.
    """
    require(n_normal >= 0, "n_normal", n_normal, "0 or more")
    require(n_high >= 0, "n_high", n_high, "0 or more")
    require_shape(n_normal + n_high, length, n_features)
    shape = (length, n_features)
    normal = np.random.default_rng([seed, 0]).normal(NORMAL_MEAN, NORMAL_DEVIATION, (n_normal, *shape))
    high = np.random.default_rng([seed, 1]).normal(HIGH_MEAN, HIGH_DEVIATION, (n_high, *shape))
    return Dataset(
        name=f"load-seed-{seed}",
        values=np.concatenate([normal, high]).astype(np.float32),
        feature_names=feature_names(n_features),
        labels=np.arange(n_normal + n_high) >= n_normal,
    )
