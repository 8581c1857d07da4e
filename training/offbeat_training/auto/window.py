"""How long the windows of a series are, and how far apart."""

from __future__ import annotations

from offbeat.result import FloatArray
from offbeat_training.auto.period import dominant_period

# Values in a window: enough to average noise over, few enough to learn their covariance from some hundreds of windows.
TARGET_VALUES = 200
MAX_VALUES = 2000
# With many features a window would shrink to nothing that has a course.
MIN_STEPS = 30
# A window longer than this part of the rows leaves too few to learn from beside those held out.
MAX_PART = 0.4
MAX_WINDOWS = 4000


def window_length(values: FloatArray) -> tuple[int, str]:
    """Rows in a window for `values` [row, feature], and why.

    About 200 values, but at least 30 rows: of a series with a period a whole number of periods nearest to that, at least
    one. Never more than 40 % of the rows, nor than 2,000 values, for which a period is left out and the length cut.
    """
    n_rows, n_features = values.shape
    most = max(1, min(int(MAX_PART * n_rows), MAX_VALUES // n_features))
    near = max(MIN_STEPS, round(TARGET_VALUES / n_features))
    period = dominant_period(values)
    if period is not None and period <= most:
        n_periods = min(max(1, round(near / period)), most // period)
        times = "the" if n_periods == 1 else f"{n_periods} times the"
        return n_periods * period, f"{times} dominant period of {period} rows"
    length = min(near, most)
    without = "no dominant period" if period is None else f"a dominant period of {period} rows is too long"
    return length, f"{without}; {_bound(length, near, n_rows, n_features)}"


def _bound(length: int, near: int, n_rows: int, n_features: int) -> str:
    """What the length of a window without a period comes from."""
    if length < near:
        by_rows = MAX_PART * n_rows <= MAX_VALUES // n_features
        return f"at most {MAX_PART:.0%} of the rows" if by_rows else f"at most {MAX_VALUES:,} values"
    is_least = round(TARGET_VALUES / n_features) < MIN_STEPS
    return f"at least {MIN_STEPS} rows" if is_least else f"about {TARGET_VALUES} values"


def window_stride(n_windows: int, length: int) -> int:
    """Rows between windows, so that of `n_windows`, one a row, about 4,000 stay; never so many that a row is left out."""
    return max(1, min(-(-n_windows // MAX_WINDOWS), length))
