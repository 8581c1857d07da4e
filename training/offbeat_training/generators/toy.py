"""Toy sequences: uniform noise, and the same noise with spikes or shifts in some of them."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from offbeat.data import Dataset
from offbeat.errors import require
from offbeat.result import FloatArray
from offbeat_training.generators.shape import feature_names, require_shape

Anomaly = Literal["spike", "shift"]


def toy_sequences(n_windows: int = 1000, length: int = 50, n_features: int = 1, *, seed: int = 0) -> Dataset:
    """Windows [window, time, feature] of independent values, uniform in [0, 1); none is labelled an anomaly.

    The same arguments give the same values. Raises ConfigurationError for sizes that make no window.
    """
    require_shape(n_windows, length, n_features)
    values = np.random.default_rng([seed, 0]).random((n_windows, length, n_features), dtype=np.float32)
    return Dataset(
        name=f"toy-seed-{seed}",
        values=values,
        feature_names=feature_names(n_features),
        labels=np.zeros(n_windows, dtype=np.bool_),
    )


def toy_anomalies(
    n_windows: int = 1000,
    length: int = 50,
    n_features: int = 1,
    *,
    anomaly: Anomaly = "spike",
    ratio: float = 0.1,
    seed: int = 0,
) -> Dataset:
    """`toy_sequences` of the same seed, of which `ratio`, rounded to whole windows, are disturbed and labelled.

    A `spike` moves one value of one feature by 2 to 4, up or down; a `shift` lifts every feature by 1 to 2 from a step in
    the first half to the end. Both leave [0, 1), where the undisturbed values are. Raises ConfigurationError.
    """
    require(anomaly in get_args(Anomaly), "anomaly", anomaly, f"one of {', '.join(get_args(Anomaly))}")
    require(0 <= ratio <= 1, "ratio", ratio, "from 0 to 1")
    normal = toy_sequences(n_windows, length, n_features, seed=seed)
    random = np.random.default_rng([seed, 1])
    chosen = random.permutation(n_windows)[: round(ratio * n_windows)]
    values, labels = normal.values.copy(), np.zeros(n_windows, dtype=np.bool_)
    labels[chosen] = True
    disturb = _spike if anomaly == "spike" else _shift
    for window in chosen:
        disturb(values[window], random)
    return Dataset(name=f"toy-{anomaly}-seed-{seed}", values=values, feature_names=normal.feature_names, labels=labels)


def _spike(window: FloatArray, random: np.random.Generator) -> None:
    step, feature = random.integers(window.shape[0]), random.integers(window.shape[1])
    window[step, feature] += random.choice((-1.0, 1.0)) * random.uniform(2.0, 4.0)


def _shift(window: FloatArray, random: np.random.Generator) -> None:
    window[random.integers((window.shape[0] + 1) // 2) :] += random.uniform(1.0, 2.0)
