"""How differently two versions score the same windows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from offbeat.data import ColumnSelection, read_dataset, sliding_windows, window_starts
from offbeat.errors import InvalidWindowError
from offbeat.result import FloatArray
from offbeat.scorer import Scorer

_WINDOWS_AT_ONCE = 1024
# Decisions that differ are told one by one up to this many.
MAX_DECISIONS = 100
Floats = NDArray[np.float64]


class DecisionDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A window, by its number from 0, that the versions decide differently, and the error that each gives it."""

    window: int
    error_a: float
    error_b: float
    is_anomaly_b: bool


class ScoreDifference(msgspec.Struct, frozen=True, kw_only=True):
    """Errors and scores over all windows of the data; |Δerror| also in units of max(1, error), as the parity bound is.

    `is_equal` is within the larger of the two bounds, with the same decisions. `decisions` are the first hundred that differ.
    """

    is_equal: bool
    n_windows: int
    max_error: float
    max_relative_error: float
    max_score: float
    mean_score: float
    n_decisions: int
    decisions: tuple[DecisionDifference, ...]


def diff_scores(
    a: ModelVersion, b: ModelVersion, data: Path, columns: ColumnSelection, stride: int, config: BackendConfig
) -> ScoreDifference:
    """Scores every window of a file by both, each taking its own features by name.

    Raises InvalidWindowError where their windows are not of one length, and what reading and scoring raise.
    """
    lengths = [None if version.manifest.window is None else version.manifest.window.length for version in (a, b)]
    if lengths[0] != lengths[1]:
        shapes = [list(version.manifest.window_shape) for version in (a, b)]
        raise InvalidWindowError(
            f"A takes {shapes[0]}, trained on {lengths[0]} steps, B {shapes[1]}, on {lengths[1]}: no window is both's"
        )
    (error_a, score_a, flag_a), (error_b, score_b, flag_b) = (
        _scores(version, data, columns, stride, config) for version in (a, b)
    )
    delta, bound = np.abs(error_a - error_b), max(version.manifest.parity.bound for version in (a, b))
    relative = delta / np.maximum(1.0, np.maximum(error_a, error_b))
    (differ,) = np.nonzero(flag_a != flag_b)
    return ScoreDifference(
        is_equal=not differ.size and bool((relative <= bound).all()),
        n_windows=error_a.size,
        max_error=float(delta.max()),
        max_relative_error=float(relative.max()),
        max_score=float(np.abs(score_a - score_b).max()),
        mean_score=float(np.abs(score_a - score_b).mean()),
        n_decisions=int(differ.size),
        decisions=tuple(
            DecisionDifference(
                window=int(index),
                error_a=float(error_a[index]),
                error_b=float(error_b[index]),
                is_anomaly_b=bool(flag_b[index]),
            )
            for index in differ[:MAX_DECISIONS]
        ),
    )


def _scores(
    version: ModelVersion, data: Path, columns: ColumnSelection, stride: int, config: BackendConfig
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Error, score and decision of each window."""
    manifest = version.manifest
    dataset = read_dataset(data, msgspec.structs.replace(columns, features=manifest.feature_names))
    windows = dataset.values
    if manifest.window is not None and windows.ndim == 2:
        starts = window_starts(dataset.n_rows, manifest.window.length, stride)
        windows = sliding_windows(windows, manifest.window.length)[starts]
    names = ("reconstruction_error", "anomaly_score", "is_anomaly")
    with Scorer.open(version, config) as scorer:
        parts = [scorer.run(scorer.check_windows(batch), names) for batch in _batches(windows)]
    error, score, flag = (np.concatenate([part[name] for part in parts]) for name in names)
    return error.astype(np.float64), score.astype(np.float64), flag.astype(np.bool_)


def _batches(windows: FloatArray) -> Iterator[FloatArray]:
    for start in range(0, len(windows), _WINDOWS_AT_ONCE):
        yield windows[start : start + _WINDOWS_AT_ONCE]
