"""An isolation forest: how few random cuts set a sample apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

Floats = NDArray[np.float64]

N_TREES = 100


class IsolationForestBaseline:
    """scikit-learn's isolation forest, 100 trees of up to 256 samples each; higher scores are more abnormal.

    `fit` and `scores` take samples [sample, value], flattened windows or rows. The same seed gives the same trees.
    Source: Liu, Ting, Zhou, "Isolation Forest", ICDM 2008.
    """

    def __init__(self, seed: int = 0) -> None:
        self._forest = IsolationForest(n_estimators=N_TREES, random_state=seed)

    def fit(self, samples: Floats) -> IsolationForestBaseline:
        """Grows the trees on `samples` [sample, value]."""
        self._forest.fit(samples)
        return self

    def scores(self, samples: Floats) -> Floats:
        """2^(−mean depth / expected depth) for each of `samples` [sample, value]."""
        return np.asarray(-self._forest.score_samples(samples))
