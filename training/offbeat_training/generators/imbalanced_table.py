"""A labelled table with a small minority class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offbeat.data import Dataset
from offbeat.errors import require
from offbeat_training.generators.shape import feature_names, require_shape

N_CAUSES = 3
NOISE = 0.3


def imbalanced_table(n_rows: int = 2000, n_features: int = 10, *, minority: float = 0.05, seed: int = 0) -> Dataset:
    """Rows [row, feature] of which `minority`, rounded to whole rows, are of another class and labelled, well mixed.

    Features of a majority row are linear in three hidden causes, plus noise: x = c·M + 0.3·ε, all Gaussian. A minority row
    takes each feature from causes of its own, so that every feature alone looks normal and only the relation between them
    is broken. The same arguments give the same values. Raises ConfigurationError where a class would be empty.
    """
    require_shape(n_rows, 1, n_features)
    require(n_features >= N_CAUSES + 1, "n_features", n_features, f"at least {N_CAUSES + 1}")
    n_minority = round(minority * n_rows) if 0 < minority < 1 else 0
    require(1 <= n_minority < n_rows, "minority", minority, f"a part of {n_rows} rows, above 0 and below 1")
    random = np.random.default_rng(seed)
    labels = np.zeros(n_rows, dtype=np.bool_)
    labels[random.permutation(n_rows)[:n_minority]] = True
    mixing = random.normal(size=(N_CAUSES, n_features))
    values = random.normal(size=(n_rows, N_CAUSES)) @ mixing
    values[labels] = _unrelated(random, n_minority, mixing)
    values += NOISE * random.normal(size=values.shape)
    return Dataset(
        name=f"imbalanced-table-seed-{seed}",
        values=values.astype(np.float32),
        feature_names=feature_names(n_features),
        labels=labels,
    )


def _unrelated(random: np.random.Generator, n_rows: int, mixing: NDArray[np.float64]) -> NDArray[np.float64]:
    causes = random.normal(size=(n_rows, *mixing.shape))
    return np.asarray((causes * mixing).sum(axis=1))
