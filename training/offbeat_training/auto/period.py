"""The dominant period of a series."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import detrend

from offbeat.result import FloatArray

Floats = NDArray[np.float64]

# Two rows this far apart have a correlation of at least this: a period, and not the echo of noise or of a drift.
MIN_CORRELATION = 0.4
# Of a period as much is asked as to be seen three times, so that chance does not repeat itself.
MIN_REPEATS = 3
# Multiples of a period correlate as well as the period itself; the first that comes near the highest is it.
_NEAR_HIGHEST = 0.8


def dominant_period(values: FloatArray) -> int | None:
    """Rows after which `values` [row, feature] repeat themselves, None where they do not.

    The first peak of the autocorrelation, averaged over the features that vary and without their linear trend, that is
    nearly as high as the highest. Only lags after the autocorrelation has first been negative count, since a slow series
    resembles itself a few rows on without being periodic, and only those of which the series holds three.
    """
    if len(values) <= MIN_REPEATS:
        return None
    correlation = autocorrelation(values, len(values) // MIN_REPEATS)
    below = np.flatnonzero(correlation < 0)
    if not below.size:
        return None
    peaks = _peaks(correlation)
    peaks = peaks[peaks > below[0]]
    if not peaks.size or correlation[peaks].max() < MIN_CORRELATION:
        return None
    return int(peaks[correlation[peaks] >= _NEAR_HIGHEST * correlation[peaks].max()][0])


def autocorrelation(values: FloatArray, max_lag: int) -> Floats:
    """Mean over the features that vary of the correlation of rows `lag` apart, [lag] from 0 to `max_lag`.

    Each product is divided by the number of pairs of rows behind it. All 0 where nothing varies but a trend.
    """
    rows = detrend(values.astype(np.float64), axis=0)
    varies = rows.std(axis=0) > 1e-6 * np.abs(values).max(axis=0, initial=0)
    if not varies.any():
        return np.zeros(max_lag + 1)
    n_rows, rows = len(rows), rows[:, varies]
    spectrum = np.fft.rfft(rows, 2 * n_rows, axis=0)
    products = np.fft.irfft((spectrum * spectrum.conj()).real, axis=0)[: max_lag + 1]
    lags = np.arange(max_lag + 1)
    return np.asarray(np.mean(products / products[0] * (n_rows / (n_rows - lags))[:, None], axis=1))


def _peaks(correlation: Floats) -> NDArray[np.intp]:
    """Lags whose correlation is higher than before and at least as high as after; the last lag is no peak."""
    middle = correlation[1:-1]
    return np.flatnonzero((middle > correlation[:-2]) & (middle >= correlation[2:])) + 1
