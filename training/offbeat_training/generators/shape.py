"""What every generator of windows asks of its sizes."""

from __future__ import annotations

from offbeat.errors import require

MAX_VALUES = 2**28


def require_shape(n_windows: int, length: int, n_features: int) -> None:
    """Raises ConfigurationError for a size below one, and for more values than 1 GiB of float32 holds."""
    for field, size in (("n_windows", n_windows), ("length", length), ("n_features", n_features)):
        require(size >= 1, field, size, "at least 1")
    n_values = n_windows * length * n_features
    require(n_values <= MAX_VALUES, "n_windows × length × n_features", n_values, f"at most {MAX_VALUES:,} values")


def feature_names(n_features: int) -> tuple[str, ...]:
    """`feature_0`, `feature_1`, …"""
    return tuple(f"feature_{index}" for index in range(n_features))
