"""Raw bytes as windows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from offbeat.errors import InvalidWindowError
from offbeat.result import FloatArray

INPUT = "window"
_ITEM = np.dtype("<f4")
_RANKS = (2, 3)


def checked_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape, if windows can have it. Raises InvalidWindowError."""
    # The rank comes first: a shape of a million dimensions is neither multiplied nor told.
    if len(shape) not in _RANKS:
        raise InvalidWindowError(
            f"{INPUT!r} has rank {len(shape)}; expected [batch, time, feature], or [batch, feature] for a tabular model"
        )
    sizes = tuple(shape)
    if min(sizes) < 1:
        raise InvalidWindowError(f"{INPUT!r} has shape {list(sizes)}; expected sizes of at least 1, batch included")
    return sizes


def windows_from_bytes(data: bytes, shape: Sequence[int]) -> FloatArray:
    """The bytes seen as a read-only float32 array of that shape, without a copy.

    Raises InvalidWindowError for a shape that windows cannot have, and for bytes that do not fill it exactly.
    """
    sizes = checked_shape(shape)
    expected = math.prod(sizes) * _ITEM.itemsize
    if len(data) != expected:
        raise InvalidWindowError(
            f"{INPUT!r} holds {len(data)} bytes; expected {expected} for float32 of shape {list(sizes)}"
        )
    return np.frombuffer(data, _ITEM).reshape(sizes)


def windows_from_values(values: Sequence[float], shape: Sequence[int]) -> FloatArray:
    """The numbers as a float32 array of that shape. Raises InvalidWindowError like `windows_from_bytes`."""
    sizes = checked_shape(shape)
    expected = math.prod(sizes)
    if len(values) != expected:
        raise InvalidWindowError(f"{INPUT!r} holds {len(values)} values; expected {expected} for shape {list(sizes)}")
    return np.fromiter(values, np.float32, expected).reshape(sizes)
