"""What may be scored: windows and outputs checked against a manifest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offbeat.bundle import Manifest
from offbeat.conformal import Calibration
from offbeat.errors import InvalidWindowError, quoted
from offbeat.result import DEFAULT_OUTPUTS, P_VALUE, FloatArray
from offbeat.telling import listed


def check_windows(manifest: Manifest, windows: ArrayLike) -> FloatArray:
    """The windows as C-contiguous float32 of the model's input shape, at least one, all finite.

    Any real number type is taken and converted. Raises InvalidWindowError, saying what was seen and what is expected.
    """
    array = real_array(windows)
    check_shape(manifest, array.shape)
    checked = as_float32(array)
    check_finite(checked)
    return checked


def check_finite(windows: FloatArray) -> None:
    """Raises InvalidWindowError for NaN and infinity, naming how many there are and where the first is."""
    if not np.isfinite(windows).all():
        raise InvalidWindowError(_describe_non_finite(windows))


def check_outputs(manifest: Manifest, outputs: Sequence[str]) -> tuple[str, ...]:
    """The names asked for, or the default outputs where none are.

    Raises InvalidWindowError for an unknown or repeated name, and for a p-value where the threshold has no calibration.
    """
    if isinstance(outputs, str) or not isinstance(outputs, Sequence):
        raise InvalidWindowError(f"outputs are {outputs!r}; expected a sequence of names")
    names = tuple(outputs) or DEFAULT_OUTPUTS
    for name in names:
        if name == P_VALUE:
            check_calibration(manifest)
        elif name not in manifest.output_names:
            raise InvalidWindowError(
                f"output {quoted(name)}; model {manifest.name!r} has {listed(manifest.output_names)}"
            )
    if len(set(names)) != len(names):
        raise InvalidWindowError(f"outputs {listed(names):.500}; expected each at most once")
    return names


def check_calibration(manifest: Manifest) -> Calibration:
    """What p-values follow from. Raises InvalidWindowError where the manifest holds none."""
    calibration = manifest.threshold.calibration
    if calibration is None:
        raise InvalidWindowError(
            f"output {P_VALUE!r}; the threshold of model {manifest.name!r} was chosen by {manifest.threshold.method!r} and "
            "has no calibration errors: expected threshold method conformal"
        )
    return calibration


def as_float32(array: NDArray[np.generic]) -> FloatArray:
    """The numbers as C-contiguous float32, without a copy where they are that already; too large ones become infinite."""
    if array.dtype == np.float32:
        return np.ascontiguousarray(array, dtype=np.float32)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=np.float32)


def real_array(windows: ArrayLike) -> NDArray[np.generic]:
    """The windows as one array of real numbers. Raises InvalidWindowError."""
    if isinstance(windows, np.ma.MaskedArray):
        raise InvalidWindowError("windows are a masked array; expected every value to be there, filled or left out")
    try:
        array = np.asarray(windows)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InvalidWindowError(f"windows are not one array of numbers: {error}") from error
    if array.dtype.kind not in "fiub":
        raise InvalidWindowError(f"windows have dtype {array.dtype}; expected real numbers, best float32")
    return array


def check_shape(manifest: Manifest, shape: tuple[int, ...]) -> None:
    """Raises InvalidWindowError for a shape that the model's windows cannot have."""
    expected = manifest.window_shape
    words = f"[{', '.join(str(axis) for axis in expected)}]"
    if len(shape) != len(expected):
        raise InvalidWindowError(f"windows have shape {list(shape)}; expected {words}")
    window = manifest.window
    if window is not None and not window.is_time_dynamic and shape[1] != window.length:
        raise InvalidWindowError(
            f"windows have {shape[1]} steps; expected {window.length}: model {manifest.name!r} scores windows of the "
            "trained length alone"
        )
    for seen, axis in zip(shape, expected, strict=True):
        if (seen == 0) if isinstance(axis, str) else (seen != axis):
            raise InvalidWindowError(f"windows have shape {list(shape)}; expected {words}, with at least one row")
    if window is not None and shape[1] < window.min_length:
        raise InvalidWindowError(f"windows have {shape[1]} steps; expected at least {window.min_length}")


def _describe_non_finite(windows: FloatArray) -> str:
    where = np.argwhere(~np.isfinite(windows))
    first = tuple(int(index) for index in where[0])
    return f"windows hold {len(where)} value(s) that are NaN, infinite or beyond float32, the first at {list(first)}; expected finite numbers"
