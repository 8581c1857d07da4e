"""A model version folder made by hand: a scorer simple enough to check with numpy, without torch.

It reconstructs every value as the feature's mean, so the error of a window is the mean square of its normalised values.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import onnx
import safetensors.numpy
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from offbeat.bundle.manifest import (
    Architecture,
    FileRecord,
    FormatParity,
    Manifest,
    Normalisation,
    OutputParity,
    Parity,
    TensorSpec,
    WindowSpec,
)
from offbeat.provenance import DataSource, TrainingRecord
from offbeat.result import FloatArray, Threshold

MEAN = np.array([10.0, -5.0], np.float32)
SCALE = np.array([2.0, 0.5], np.float32)
THRESHOLD = 1.5
LENGTH = 6
OUTPUTS = ("reconstruction_error", "anomaly_score", "is_anomaly", "feature_error", "step_error", "reconstruction")
_SHAPES: dict[str, tuple[int | str, ...]] = {
    "feature_error": ("batch", 2),
    "step_error": ("batch", "time"),
    "reconstruction": ("batch", "time", 2),
}


def random_windows(n_windows: int, length: int = LENGTH, seed: int = 0) -> FloatArray:
    """Windows whose errors lie on both sides of the threshold."""
    normalised = np.random.default_rng(seed).standard_normal((n_windows, length, 2), dtype=np.float32) * 1.2
    return np.asarray(MEAN + SCALE * normalised, dtype=np.float32)


def expected_outputs(windows: FloatArray) -> dict[str, NDArray[np.generic]]:
    """What the scorer must give, in numpy."""
    squared = ((windows - MEAN) / SCALE) ** 2
    error = squared.mean(axis=(1, 2))
    return {
        "reconstruction_error": error,
        "anomaly_score": np.clip(error / np.float32(THRESHOLD) * np.float32(0.5), 0, 1),
        "is_anomaly": error > np.float32(THRESHOLD),
        "feature_error": squared.mean(axis=1) / 2,
        "step_error": squared.mean(axis=2) / windows.shape[1],
        "reconstruction": np.broadcast_to(MEAN, windows.shape).astype(np.float32),
    }


def onnx_bytes(threshold: float = THRESHOLD) -> bytes:
    """The scorer as an ONNX graph."""
    constants = {
        "mean": MEAN,
        "scale": SCALE,
        "threshold": np.float32(threshold),
        "half": np.float32(0.5),
        "zero": np.float32(0),
        "one": np.float32(1),
        "two": np.float32(2),
        "axes_all": np.array([1, 2]),
        "axis_time": np.array([1]),
        "axis_feature": np.array([2]),
        "index_time": np.array(1),
    }
    nodes = [
        helper.make_node("Sub", ["window", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["normalised"]),
        helper.make_node("Mul", ["normalised", "normalised"], ["squared"]),
        helper.make_node("ReduceMean", ["squared", "axes_all"], ["reconstruction_error"], keepdims=0),
        helper.make_node("Div", ["reconstruction_error", "threshold"], ["ratio"]),
        helper.make_node("Mul", ["ratio", "half"], ["halved"]),
        helper.make_node("Clip", ["halved", "zero", "one"], ["anomaly_score"]),
        helper.make_node("Greater", ["reconstruction_error", "threshold"], ["is_anomaly"]),
        helper.make_node("ReduceMean", ["squared", "axis_time"], ["feature_mean"], keepdims=0),
        helper.make_node("Div", ["feature_mean", "two"], ["feature_error"]),
        helper.make_node("ReduceMean", ["squared", "axis_feature"], ["step_mean"], keepdims=0),
        helper.make_node("Shape", ["window"], ["shape"]),
        helper.make_node("Gather", ["shape", "index_time"], ["length"]),
        helper.make_node("Cast", ["length"], ["length_float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["step_mean", "length_float"], ["step_error"]),
        helper.make_node("Expand", ["mean", "shape"], ["reconstruction"]),
    ]
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    inputs = [helper.make_tensor_value_info("window", TensorProto.FLOAT, ["batch", "time", 2])]
    outputs = [
        helper.make_tensor_value_info(
            name, TensorProto.BOOL if name == "is_anomaly" else TensorProto.FLOAT, list(_SHAPES.get(name, ("batch",)))
        )
        for name in OUTPUTS
    ]
    graph = helper.make_graph(nodes, "scorer", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def safetensors_bytes(threshold: float = THRESHOLD) -> bytes:
    """The scorer as a layer plan: a reconstruction of zeros is the mean in raw units."""
    tensors = {"mean": MEAN, "scale": SCALE, "threshold": np.asarray(threshold, np.float32)}
    plan = {
        "schema_version": 1,
        "input": {"name": "window", "shape": ["batch", "time", 2]},
        "normalisation": {"mean": "mean", "scale": "scale"},
        "layers": [{"kind": "zeros", "size": 2}],
        "error": "mean_squared",
        "threshold": "threshold",
    }
    return safetensors.numpy.save(tensors, metadata={"plan": json.dumps(plan)})


def golden_bytes(outputs: dict[str, NDArray[np.generic]] | None = None) -> bytes:
    """golden.npz: eight windows and their outputs."""
    buffer = io.BytesIO()
    windows = random_windows(8)
    np.savez(buffer, window=windows, **(outputs or expected_outputs(windows)))
    return buffer.getvalue()


def make_manifest(files: dict[str, bytes], name: str = "level", version: int = 1) -> Manifest:
    """A manifest that fits the scorer and lists `files`."""
    outputs = tuple(
        TensorSpec(name=name, dtype="bool" if name == "is_anomaly" else "float32", shape=_SHAPES.get(name, ("batch",)))
        for name in OUTPUTS
    )
    parity = FormatParity(
        n_cases=1,
        n_windows=8,
        decision_flips=0,
        worst_case="random",
        outputs={"reconstruction_error": OutputParity(max_absolute=0.0, max_relative=0.0)},
    )
    return Manifest(
        schema_version=1,
        name=name,
        version=version,
        description="mean square of the normalised values",
        architecture=Architecture(kind="mean", settings={}, n_parameters=0),
        inputs=(TensorSpec(name="window", dtype="float32", shape=("batch", "time", 2)),),
        outputs=outputs,
        feature_names=("pressure", "flow"),
        window=WindowSpec(length=LENGTH, stride=1, is_time_dynamic=True),
        normalisation=Normalisation(mean=tuple(MEAN.tolist()), scale=tuple(SCALE.tolist())),
        threshold=Threshold(value=THRESHOLD, method="fixed"),
        training=TrainingRecord(
            source=DataSource(name="by hand", sha256=None, n_rows=0),
            n_training_windows=0,
            n_validation_windows=0,
            n_epochs=0,
            best_epoch=0,
            best_validation_loss=1.0,
            seed=0,
            trained_at="2026-01-01T00:00:00+00:00",
            torch_version="none",
            offbeat_version="test",
        ),
        metrics={},
        opset=18,
        parity=Parity(bound=1e-5, formats={"onnx": parity}),
        files={
            file: FileRecord(n_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
            for file, content in files.items()
        },
    )


def write_version(repository: Path, name: str = "level", version: int = 1, **files: bytes) -> Path:
    """Writes `<repository>/<name>/<version>`; keyword arguments `onnx` and `golden` replace those files' content.

    Without `safetensors` there is no such file.
    """
    contents = {"model.onnx": files.get("onnx", onnx_bytes()), "golden.npz": files.get("golden", golden_bytes())}
    if "safetensors" in files:
        contents["model.safetensors"] = files["safetensors"]
    folder = repository / name / str(version)
    folder.mkdir(parents=True)
    for file, content in contents.items():
        (folder / file).write_bytes(content)
    (folder / "manifest.json").write_bytes(make_manifest(contents, name, version).to_json())
    return folder
