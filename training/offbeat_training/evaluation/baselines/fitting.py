"""Fits the baselines on the training part and scores the data with them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from offbeat.data import Dataset, row_means, sliding_windows, window_starts
from offbeat.errors import DataError
from offbeat.result import FloatArray
from offbeat_training.evaluation.baselines.isolation_forest import IsolationForestBaseline
from offbeat_training.evaluation.baselines.pca import PcaBaseline
from offbeat_training.evaluation.score_file import Unit
from offbeat_training.split import normal_starts

Floats = NDArray[np.float64]

# Evenly spaced over the training part; more would cost time and hardly change a component or a tree of 256 samples.
MAX_TRAINING_SAMPLES = 10_000
_BATCH = 4096


class Baseline(Protocol):
    """What is fitted to samples [sample, value] and then scores samples."""

    def fit(self, samples: Floats) -> Baseline:
        """Learns what normal looks like."""
        ...

    def scores(self, samples: Floats) -> Floats:
        """A score [sample], higher for the more abnormal."""
        ...


def fitted_scores(train: Dataset, data: Dataset, seq_len: int, unit: Unit, seed: int = 0) -> dict[str, Floats]:
    """Scores [line] of PCA and of an isolation forest by name, fitted on the normal part of `train`.

    Both see standardised windows of `seq_len` rows, flattened; ready-made windows and samples of a table as they are. Up to
    10,000 of the training windows are learnt from, evenly spaced. A line is a row, with the mean over the windows that
    cover it, a window, or a sample, as `unit` says. Raises DataError where the two sets do not fit each other, or hold no
    window.
    """
    seq_len = 1 if unit == "sample" else seq_len
    if train.values.shape[2:] != data.values.shape[2:] or train.feature_names != data.feature_names:
        raise DataError(f"{train.name} {train.values.shape} and {data.name} {data.values.shape} do not fit each other")
    normal = train.values if train.labels is None else train.values[~train.labels]
    if not normal.size:
        raise DataError(f"{train.name}: all of {train.n_rows} rows are labelled anomalous; expected normal ones")
    scaler = StandardScaler().fit(normal.reshape(-1, normal.shape[-1]).astype(np.float64))
    learnt = _samples(_training_windows(train, seq_len), scaler)
    windows = _windows(data, seq_len)
    baselines: dict[str, Baseline] = {"PCA": PcaBaseline(), "isolation forest": IsolationForestBaseline(seed)}
    return {
        name: _per_line(_scores(baseline.fit(learnt), windows, scaler), data, seq_len, unit)
        for name, baseline in baselines.items()
    }


def _training_windows(train: Dataset, seq_len: int) -> FloatArray:
    windows = _windows(train, seq_len)
    length = 1 if train.values.ndim == 3 else seq_len
    starts = normal_starts(train.n_rows, length, 1, train.labels)
    if not starts.size:
        raise DataError(f"{train.name}: {train.n_rows} rows hold no window of {length} normal rows to fit baselines on")
    evenly = np.linspace(0, starts.size - 1, min(starts.size, MAX_TRAINING_SAMPLES)).round().astype(np.int64)
    return windows[starts[evenly]]


def _windows(dataset: Dataset, seq_len: int) -> FloatArray:
    """[window, time, feature], a view where windows overlap."""
    return dataset.values if dataset.values.ndim == 3 else sliding_windows(dataset.values, seq_len)


def _samples(windows: FloatArray, scaler: StandardScaler) -> Floats:
    rows = windows.reshape(-1, windows.shape[-1]).astype(np.float64)
    return np.asarray(scaler.transform(rows)).reshape(len(windows), -1)


def _scores(baseline: Baseline, windows: FloatArray, scaler: StandardScaler) -> Floats:
    """In batches, since overlapping windows laid out side by side would need memory for each."""
    batches = (windows[begin : begin + _BATCH] for begin in range(0, len(windows), _BATCH))
    return np.concatenate([baseline.scores(_samples(batch, scaler)) for batch in batches])


def _per_line(scores: Floats, data: Dataset, seq_len: int, unit: Unit) -> Floats:
    if data.values.ndim == 3 or unit == "window":
        return scores
    return row_means(scores, window_starts(data.n_rows, seq_len), seq_len, data.n_rows)
