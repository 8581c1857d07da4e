"""Which windows are learnt from, and which normal ones are held out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offbeat.errors import TrainingError
from offbeat.result import BoolArray

Indices = NDArray[np.int64]


def split_series(
    n_rows: int, length: int, stride: int, fraction: float, labels: BoolArray | None = None
) -> tuple[Indices, Indices]:
    """First rows of the training windows, and of the validation windows: the last `fraction` of the normal ones.

    No row lies in a window of both parts. A window that holds a row labelled anomalous [row] is in neither.
    Raises TrainingError where that leaves one of the parts empty.
    """
    starts = normal_starts(n_rows, length, stride, labels)
    if not starts.size:
        raise TrainingError(
            f"{_told(n_rows, labels)} hold no window of {length} normal rows; expected at least two, end to end"
        )
    first_validation = max(starts[-_n_held_out(starts.size, fraction)], starts[0] + length)
    training = starts[starts + length <= first_validation]
    validation = starts[starts >= first_validation]
    if not validation.size:
        raise TrainingError(
            f"{_told(n_rows, labels)} hold no two windows of {length} normal rows without a row in common; "
            "expected one to learn from and one to hold out: use more rows or a smaller seq_len"
        )
    return training, validation


def split_samples(
    n_samples: int, fraction: float, seed: int, labels: BoolArray | None = None
) -> tuple[Indices, Indices]:
    """Positions of the training samples, and of the validation samples: a random `fraction` of the normal ones.

    Samples are rows of a table or ready-made windows; `labels` [sample] are True for anomalies, which are in neither
    part. The same seed gives the same parts, each ascending. Raises TrainingError for fewer than three normal samples.
    """
    normal = np.arange(n_samples) if labels is None else np.flatnonzero(~labels)
    if normal.size < 3:
        raise TrainingError(f"{normal.size} normal samples out of {n_samples}; expected at least 3")
    shuffled = np.random.default_rng(seed).permutation(normal)
    n_validation = min(_n_held_out(normal.size, fraction), normal.size - 2)
    return np.sort(shuffled[n_validation:]), np.sort(shuffled[:n_validation])


def anomalous_starts(n_rows: int, length: int, stride: int, labels: BoolArray | None) -> Indices:
    """First rows of the windows that hold a row labelled anomalous [row], none without labels."""
    starts = np.arange(0, n_rows - length + 1, stride, dtype=np.int64)
    return np.setdiff1d(starts, normal_starts(n_rows, length, stride, labels), assume_unique=True)


def normal_starts(n_rows: int, length: int, stride: int, labels: BoolArray | None) -> Indices:
    """First rows of the windows that hold no row labelled anomalous [row], all of them without labels."""
    starts = np.arange(0, n_rows - length + 1, stride, dtype=np.int64)
    if labels is None:
        return starts
    anomalies_before = np.concatenate([[0], np.cumsum(labels)])
    is_normal = anomalies_before[starts + length] == anomalies_before[starts]
    return np.asarray(starts[is_normal])


def _n_held_out(n_normal: int, fraction: float) -> int:
    return max(1, round(fraction * n_normal))


def _told(n_rows: int, labels: BoolArray | None) -> str:
    n_anomalous = 0 if labels is None else int(labels.sum())
    return f"{n_rows} rows, {n_anomalous} of them labelled anomalous," if n_anomalous else f"{n_rows} rows"
