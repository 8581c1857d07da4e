"""The inputs and outputs of a model, and what they must be for each other to make sense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from offbeat.bundle.record import Record, Size
from offbeat.errors import require
from offbeat.result import OUTPUT_NAMES

Axis = int | Literal["batch", "time"]
Shape = tuple[Axis, ...]
_ALWAYS = ("reconstruction_error", "anomaly_score", "is_anomaly")
_OF_TIME = ("step_error", "forecast")


class TensorSpec(Record, frozen=True, kw_only=True):
    """One input or output. An axis is a size, or `batch` or `time` where any size fits."""

    name: str
    dtype: Literal["float32", "bool"]
    shape: tuple[Axis, ...]


class WindowSpec(Record, frozen=True, kw_only=True):
    """The windows of a series model: steps as trained, the stride used, whether other lengths are scored, and the shortest."""

    length: Size
    stride: Size
    is_time_dynamic: bool
    min_length: Size = 1


def window_shape(window: WindowSpec | None, n_features: int) -> Shape:
    """The shape of the input: (batch, time, feature), or (batch, feature) for a tabular model."""
    if window is None:
        return ("batch", n_features)
    return ("batch", "time" if window.is_time_dynamic else window.length, n_features)


def check_tensors(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], window_shape: Shape) -> None:
    """Raises ConfigurationError unless these are the tensors of a model that takes windows of that shape."""
    expected = TensorSpec(name="window", dtype="float32", shape=window_shape)
    words = f"one float32 tensor 'window' of shape {list(window_shape)}"
    require(tuple(inputs) == (expected,), "inputs", inputs, words)
    names = [output.name for output in outputs]
    for output in outputs:
        is_known = output.name in OUTPUT_NAMES and names.count(output.name) == 1
        require(is_known, "outputs", output.name, f"each of {', '.join(OUTPUT_NAMES)} at most once")
    shapes = _output_shapes(outputs, window_shape)
    for output in outputs:
        _check_output(output, shapes.get(output.name, ("batch",)), has_time=len(window_shape) > 2)
    for name in _ALWAYS:
        require(name in names, "outputs", sorted(names), f"{name} among them")


def _check_output(output: TensorSpec, shape: Shape, *, has_time: bool) -> None:
    field, seen = f"outputs.{output.name}", output.shape
    dtype = "bool" if output.name == "is_anomaly" else "float32"
    require(output.dtype == dtype, f"{field}.dtype", output.dtype, dtype)
    if output.name == "class_probability":
        is_by_class = len(seen) == 2 and seen[0] == "batch" and isinstance(seen[1], int)
        require(is_by_class, f"{field}.shape", seen, "batch and a number of classes")
        return
    is_possible = has_time or output.name not in _OF_TIME
    require(is_possible, "outputs", output.name, f"no {output.name} for a model without time")
    require(seen == shape, f"{field}.shape", list(seen), str(list(shape)))


def _output_shapes(outputs: Sequence[TensorSpec], window_shape: Shape) -> dict[str, Shape]:
    """The shapes of outputs but for those of [batch]."""
    *_, n_features = window_shape
    steps = _reconstructed_steps(outputs, window_shape)
    shapes: dict[str, Shape] = {
        "reconstruction": ("batch", *steps, n_features),
        "feature_error": ("batch", n_features),
        "forecast": window_shape,
    }
    return shapes | ({"step_error": ("batch", *steps)} if steps else {})


def _reconstructed_steps(outputs: Sequence[TensorSpec], window_shape: Shape) -> Shape:
    """The time axis of `reconstruction` and `step_error`: the window's, or a smaller number where time is fixed."""
    if len(window_shape) < 3:
        return ()
    axis = window_shape[1]
    for output in outputs:
        if output.name in ("reconstruction", "step_error") and len(output.shape) > 1:
            steps = output.shape[1]
            if isinstance(steps, int) and isinstance(axis, int) and 1 <= steps < axis:
                return (steps,)
    return (axis,)
