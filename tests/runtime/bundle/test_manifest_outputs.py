from __future__ import annotations

from typing import Any

import msgspec
import pytest

from offbeat.bundle import Manifest, TensorSpec
from offbeat.errors import ConfigurationError
from tests.runtime import folders

LENGTH = 10


def with_outputs(is_time_dynamic: bool, **shapes: tuple[Any, ...]) -> Manifest:
    """The example manifest with these outputs changed or added, its time dynamic or fixed at LENGTH."""
    manifest = folders.make_manifest({})
    time = "time" if is_time_dynamic else LENGTH
    assert manifest.window is not None
    window = msgspec.structs.replace(manifest.window, length=LENGTH, is_time_dynamic=is_time_dynamic)
    outputs = {
        spec.name: tuple(time if axis == "time" else axis for axis in spec.shape) for spec in manifest.outputs
    } | shapes
    return msgspec.structs.replace(
        manifest,
        window=window,
        inputs=(TensorSpec(name="window", dtype="float32", shape=("batch", time, 2)),),
        outputs=tuple(
            TensorSpec(name=name, dtype="bool" if name == "is_anomaly" else "float32", shape=shape)
            for name, shape in outputs.items()
        ),
    )


def test_a_model_of_fixed_time_may_reconstruct_fewer_steps_than_a_window_has() -> None:
    manifest = with_outputs(False, reconstruction=("batch", 6, 2), step_error=("batch", 6))
    assert manifest.window_shape == ("batch", LENGTH, 2)


@pytest.mark.parametrize(
    ("is_time_dynamic", "shapes", "named"),
    [
        (True, {"reconstruction": ("batch", 6, 2), "step_error": ("batch", 6)}, "shape"),
        (False, {"reconstruction": ("batch", 6, 2), "step_error": ("batch", 5)}, "shape"),
        (False, {"reconstruction": ("batch", LENGTH + 1, 2), "step_error": ("batch", LENGTH + 1)}, "shape"),
        (False, {"reconstruction": ("batch", 0, 2), "step_error": ("batch", 0)}, "shape"),
        (True, {"class_probability": ("batch",)}, "class_probability"),
        (True, {"class_probability": ("batch", "time")}, "class_probability"),
        (True, {"forecast": ("batch", 2)}, "forecast"),
        (True, {"error_std": ("batch", 2)}, "error_std"),
    ],
)
def test_a_shape_that_no_model_gives_is_refused(
    is_time_dynamic: bool, shapes: dict[str, tuple[Any, ...]], named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named):
        with_outputs(is_time_dynamic, **shapes)


def test_the_outputs_of_every_head_are_accepted() -> None:
    shapes = {"class_probability": ("batch", 3), "forecast": ("batch", "time", 2), "error_std": ("batch",)}
    assert set(shapes) <= set(with_outputs(True, **shapes).output_names)
