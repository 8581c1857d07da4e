"""Time stamps as numbers that can be subtracted."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from offbeat.errors import DataError

Unit = Literal["s", ""]
_EXPECTED = "expected ISO 8601, all with a time zone or all without one, or numbers"


def elapsed_times(timestamps: NDArray[np.str_]) -> tuple[NDArray[np.float64], Unit]:
    """Time from the first row to each row [row], and its unit: seconds of ISO 8601 times, none of plain numbers.

    Raises DataError, naming the first row that is neither.
    """
    numbers = _as_numbers(timestamps)
    if numbers is not None:
        return numbers - numbers[:1], ""
    times = _as_naive_times(timestamps)
    if times is None:
        times = _one_by_one(timestamps)
    return (times - times[:1]).astype(np.int64) / 1e6, "s"


def _as_numbers(timestamps: NDArray[np.str_]) -> NDArray[np.float64] | None:
    try:
        numbers = timestamps.astype(np.float64)
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _as_naive_times(timestamps: NDArray[np.str_]) -> NDArray[np.datetime64] | None:
    """All at once, where numpy reads every one; it only warns of the time zones that it does not read.

    All in UTC are as good as all without a zone, and Parquet writes them so.
    """
    if np.strings.endswith(timestamps, "Z").all():
        timestamps = np.strings.rstrip(timestamps, "Z")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            times = timestamps.astype("datetime64[us]")
        except (ValueError, Warning):
            return None
    return None if np.isnat(times).any() else times


def _one_by_one(timestamps: NDArray[np.str_]) -> NDArray[np.datetime64]:
    times = np.empty(len(timestamps), dtype="datetime64[us]")
    first_zone: object = None
    for row, text in enumerate(timestamps.tolist()):
        try:
            time = datetime.fromisoformat(text)
        except ValueError as error:
            raise DataError(f"row {row}: time stamp {text!r}; {_EXPECTED}") from error
        has_zone = time.tzinfo is not None
        first_zone = has_zone if row == 0 else first_zone
        if has_zone != first_zone:
            raise DataError(f"row {row}: time stamp {text!r}, the first {str(timestamps[0])!r}; {_EXPECTED}")
        times[row] = time.astimezone(UTC).replace(tzinfo=None) if has_zone else time
    return times
