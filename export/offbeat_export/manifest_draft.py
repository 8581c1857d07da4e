"""What a checkpoint says of the folder to be: the manifest before its files and its parity are known."""

from __future__ import annotations

import re

import msgspec
import numpy as np

from offbeat.bundle.manifest import (
    NAME_PATTERN,
    Architecture,
    Axis,
    Manifest,
    Normalisation,
    Parity,
    TensorSpec,
    WindowSpec,
)
from offbeat.errors import require
from offbeat.provenance import TrainingRecord
from offbeat.result import Threshold
from offbeat_export.onnx_tracing import OPSETS
from offbeat_export.parity import PARITY_BOUND
from offbeat_export.scoring_module import ScoringModule
from offbeat_training.architectures import Architecture as TrainedArchitecture
from offbeat_training.architectures import LSTMAutoencoder
from offbeat_training.checkpoint import Checkpoint


def check_identity(name: str, version: int | None) -> None:
    """Raises ConfigurationError unless the name is a plain folder name and the version, where given, is at least 1."""
    require(
        re.fullmatch(NAME_PATTERN, name) is not None,
        "name",
        name,
        "1 to 128 letters, digits, dots, dashes and underscores, a letter or digit first",
    )
    require(version is None or 1 <= version < 10**18, "version", version, "a number of at least 1")


def draft_manifest(
    checkpoint: Checkpoint, module: ScoringModule, *, name: str, version: int, description: str, licence: str = ""
) -> Manifest:
    """The manifest with no files and no parity figures yet. Raises ConfigurationError where the pieces contradict each other."""
    window = _window(checkpoint, module.model.is_time_dynamic)
    shapes = _shapes(module.model, window)
    return Manifest(
        schema_version=1,
        name=name,
        version=version,
        description=description,
        licence=licence,
        architecture=_architecture(checkpoint, module),
        inputs=(_tensor("window", shapes),),
        outputs=tuple(_tensor(output, shapes) for output in module.output_names),
        feature_names=tuple(checkpoint.feature_names),
        window=window,
        normalisation=Normalisation(mean=tuple(module.mean.tolist()), scale=tuple(module.scale.tolist())),
        threshold=_threshold(checkpoint),
        training=msgspec.convert(checkpoint.training, TrainingRecord),
        metrics=dict(checkpoint.metrics),
        opset=OPSETS["classic"],
        parity=Parity(bound=PARITY_BOUND, formats={}),
        files={},
    )


def _shapes(model: TrainedArchitecture, window: WindowSpec | None) -> dict[str, tuple[Axis, ...]]:
    """Shapes of input and outputs, but for those of [batch]. A fixed number of decoded steps may be fewer than the window's."""
    time: tuple[Axis, ...] = () if window is None else ("time" if window.is_time_dynamic else window.length,)
    compared = time
    if isinstance(model, LSTMAutoencoder) and window is not None and model.n_repeats:
        compared = (min(window.length, model.n_repeats),)
    shapes: dict[str, tuple[Axis, ...]] = {
        "window": ("batch", *time, model.n_features),
        "feature_error": ("batch", model.n_features),
        "step_error": ("batch", *compared),
        "reconstruction": ("batch", *compared, model.n_features),
        "forecast": ("batch", *time, model.n_features),
    }
    if isinstance(model, LSTMAutoencoder) and model.classifier is not None:
        shapes["class_probability"] = ("batch", model.classifier.out_features)
    return shapes


def _tensor(name: str, shapes: dict[str, tuple[Axis, ...]]) -> TensorSpec:
    return TensorSpec(
        name=name, dtype="bool" if name == "is_anomaly" else "float32", shape=shapes.get(name, ("batch",))
    )


def _window(checkpoint: Checkpoint, is_time_dynamic: bool) -> WindowSpec | None:
    spec = checkpoint.window
    if spec is None:
        return None
    shortest = 1 if is_time_dynamic else spec.length
    return WindowSpec(length=spec.length, stride=spec.stride, is_time_dynamic=is_time_dynamic, min_length=shortest)


def _architecture(checkpoint: Checkpoint, module: ScoringModule) -> Architecture:
    return Architecture(
        kind=checkpoint.architecture_kind,
        settings=dict(checkpoint.architecture_settings),
        n_parameters=sum(parameter.numel() for parameter in module.model.parameters()),
    )


def _threshold(checkpoint: Checkpoint) -> Threshold:
    """The threshold as the graph holds it: rounded to float32."""
    return msgspec.structs.replace(checkpoint.threshold, value=float(np.float32(checkpoint.threshold.value)))
