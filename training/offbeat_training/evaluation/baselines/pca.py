"""Principal components: a linear autoencoder, hard to beat on several sets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EXPLAINED_VARIANCE = 0.9


class PcaBaseline:
    """The reconstruction error from the fewest principal components that explain 90 % of the training variance.

    `fit` and `scores` take samples [sample, value], flattened windows or rows. A score [sample] is the mean square of what
    the components leave out.
    """

    def __init__(self, explained_variance: float = EXPLAINED_VARIANCE) -> None:
        self.explained_variance = explained_variance

    def fit(self, samples: Floats) -> PcaBaseline:
        """Finds mean and components of `samples` [sample, value]."""
        self._mean = samples.mean(axis=0)
        centred = samples - self._mean
        variances, directions = np.linalg.eigh(centred.T @ centred)
        variances, directions = np.maximum(variances[::-1], 0), directions[:, ::-1]
        explained = np.cumsum(variances)
        self.n_components = int(np.searchsorted(explained, self.explained_variance * explained[-1])) + 1
        self._components = directions[:, : self.n_components]
        return self

    def scores(self, samples: Floats) -> Floats:
        """‖x − x̂‖² / number of values for each of `samples` [sample, value]."""
        centred = samples - self._mean
        left_out = centred - centred @ self._components @ self._components.T
        return np.asarray(np.mean(left_out**2, axis=1))
