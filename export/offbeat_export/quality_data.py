"""What a variant is judged on: labelled data, or anomalies planted in held-out normal windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from offbeat.bundle.manifest import Manifest
from offbeat.data import Dataset, row_means, sliding_windows, window_starts
from offbeat.errors import DataError
from offbeat.provenance import DataSource
from offbeat.result import BoolArray, FloatArray

# A long series is scored by windows further apart, so that judging takes seconds; every row stays covered.
MAX_WINDOWS = 20_000
# Planted anomalies are of this many scales, and each window gets so many of each kind.
_SIZES = (0.25, 4.0)
_N_COPIES = 2
_SEED = 20250101


@dataclass(frozen=True, kw_only=True, eq=False)
class QualityData:
    """Windows in raw units as the model takes them, and `labels` [line], True in anomalies; a line is what `unit` says.

    `source` is None for planted anomalies. Of a series, `starts` [window] are the windows' first rows.
    """

    source: DataSource | None
    unit: Literal["row", "window", "sample"]
    windows: FloatArray
    labels: BoolArray
    starts: NDArray[np.int64] | None = None

    def by_line(self, errors: NDArray[np.floating]) -> NDArray[np.float64]:
        """The error of each line: a window's own, or of a row the mean over the windows that cover it."""
        if self.starts is None:
            return errors.astype(np.float64)
        return row_means(errors, self.starts, self.windows.shape[1], self.labels.size)


def labelled_data(dataset: Dataset, manifest: Manifest) -> QualityData:
    """Labelled rows of a series or a table, or labelled windows. Raises DataError where they do not fit the model."""
    labels = dataset.labels
    if labels is None or labels.all() or not labels.any():
        seen = "no labels" if labels is None else f"{int(labels.sum())} of {labels.size} labels anomalous"
        raise DataError(f"{dataset.name}: {seen}; expected a column of labels with some of either kind")
    windows, starts = model_windows(dataset, manifest)
    unit: Literal["row", "window", "sample"] = "sample" if windows.ndim == 2 else "window"
    return QualityData(
        source=DataSource(name=dataset.name, sha256=dataset.sha256, n_rows=dataset.n_rows),
        unit=unit if starts is None else "row",
        windows=windows,
        labels=labels,
        starts=starts,
    )


def model_windows(dataset: Dataset, manifest: Manifest) -> tuple[FloatArray, NDArray[np.int64] | None]:
    """The data as the model takes them, [window, time, feature] or [row, feature]; of a series, their first rows.

    Raises DataError where they do not fit.
    """
    values, window = dataset.values, manifest.window
    if window is not None and values.ndim == 2:
        stride = min(window.length, -(-len(values) // MAX_WINDOWS))
        starts = window_starts(len(values), window.length, stride)
        return sliding_windows(values, window.length)[starts], starts
    if (values.ndim == 3) != (window is not None):
        raise DataError(f"{dataset.name}: values have shape {values.shape}; expected rows of a table")
    if window is not None and not window.is_time_dynamic and values.shape[1] != window.length:
        raise DataError(f"{dataset.name}: windows of {values.shape[1]} steps; expected {window.length}")
    return values, None


def planted_anomalies(normal: FloatArray, manifest: Manifest) -> QualityData:
    """Held-out normal windows, or rows of a table, each followed by copies of it with an anomaly; the same ones each time.

    Half of the anomalies are spikes, one value of the window moved by k scales of its feature, half are noise, every value
    moved by k · N(0, 1) scales. k is log-uniform from 0.25 to 4: from hardly visible to plain, so that an order of scores
    that got worse shows.
    """
    random = np.random.default_rng(_SEED)
    scale = np.asarray(manifest.normalisation.scale)
    anomalous = [plant(random, normal, scale) for plant in (_spikes, _noise) for _ in range(_N_COPIES)]
    windows = np.concatenate([normal, *anomalous]).astype(np.float32)
    return QualityData(
        source=None,
        unit="sample" if normal.ndim == 2 else "window",
        windows=windows,
        labels=np.arange(len(windows)) >= len(normal),
    )


def _sizes(random: np.random.Generator, n: int) -> NDArray[np.float64]:
    low, high = np.log(_SIZES)
    sizes: NDArray[np.float64] = np.exp(random.uniform(low, high, n)) * random.choice([-1.0, 1.0], n)
    return sizes


def _spikes(random: np.random.Generator, normal: FloatArray, scale: NDArray[np.float64]) -> NDArray[np.float64]:
    n, n_features = len(normal), normal.shape[-1]
    moved = normal.astype(np.float64)
    features = random.integers(n_features, size=n)
    by_step = moved.reshape(n, -1, n_features)
    steps = random.integers(by_step.shape[1], size=n)
    by_step[np.arange(n), steps, features] += _sizes(random, n) * scale[features]
    return moved


def _noise(random: np.random.Generator, normal: FloatArray, scale: NDArray[np.float64]) -> NDArray[np.float64]:
    sizes = _sizes(random, len(normal)).reshape(-1, *(1,) * (normal.ndim - 1))
    moved: NDArray[np.float64] = normal + sizes * scale * random.standard_normal(normal.shape)
    return moved
