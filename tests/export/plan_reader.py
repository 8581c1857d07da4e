"""A reader of `model.safetensors` in numpy, written from docs/format.md alone: it proves that the plan suffices."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def read(content: bytes) -> tuple[dict[str, Any], dict[str, Floats]]:
    """The plan and the tensors of a safetensors file."""
    (n_header,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + n_header])
    plan = json.loads(header.pop("__metadata__")["plan"])
    data = content[8 + n_header :]
    tensors = {}
    for name, entry in header.items():
        assert entry["dtype"] == "F32"
        start, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(data[start:end], "<f4").reshape(entry["shape"])
    return plan, tensors


def score(content: bytes, window: Floats) -> dict[str, NDArray[Any]]:
    """Every output of the scorer, for raw windows."""
    plan, tensors = read(content)
    assert plan["schema_version"] == 1
    assert plan["error"] == "mean_squared"
    mean, scale = tensors[plan["normalisation"]["mean"]], tensors[plan["normalisation"]["scale"]]
    threshold = tensors[plan["threshold"]]
    normalised = (window - mean) / scale
    value = normalised
    for layer in plan["layers"]:
        value = _LAYERS[layer["kind"]](value, layer, tensors, window.shape[1])
    squared = (normalised - value) ** 2
    error = squared.reshape(len(window), -1).mean(axis=1)
    outputs = {
        "reconstruction_error": error,
        "anomaly_score": np.clip(error / threshold * np.float32(0.5), 0, 1),
        "is_anomaly": error > threshold,
        "reconstruction": value * scale + mean,
    }
    if window.ndim == 2:
        return outputs | {"feature_error": squared / window.shape[1]}
    return outputs | {
        "feature_error": squared.mean(axis=1) / window.shape[2],
        "step_error": squared.mean(axis=2) / window.shape[1],
    }


def _sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))


def _lstm(x: Floats, layer: dict[str, Any], tensors: dict[str, Floats], n_steps: int) -> Floats:
    weight_input, weight_hidden = tensors[layer["weight_input"]], tensors[layer["weight_hidden"]]
    bias = tensors[layer["bias_input"]] + tensors[layer["bias_hidden"]]
    assert weight_input.shape == (4 * layer["hidden_size"], layer["input_size"])
    hidden = cell = np.zeros((len(x), layer["hidden_size"]), np.float32)
    steps = []
    for t in range(n_steps):
        i, f, g, o = np.split(x[:, t] @ weight_input.T + hidden @ weight_hidden.T + bias, 4, axis=1)
        cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(g)
        hidden = _sigmoid(o) * np.tanh(cell)
        steps.append(hidden)
    return np.stack(steps, axis=1)


def _batch_norm(x: Floats, layer: dict[str, Any], tensors: dict[str, Floats], n_steps: int) -> Floats:
    spread = np.sqrt(tensors[layer["variance"]] + np.float32(layer["epsilon"]))
    return (x - tensors[layer["mean"]]) / spread * tensors[layer["weight"]] + tensors[layer["bias"]]


_LAYERS = {
    "lstm": _lstm,
    "last_step": lambda x, layer, tensors, n_steps: x[:, -1],
    "repeat": lambda x, layer, tensors, n_steps: np.repeat(x[:, None], n_steps, axis=1),
    "linear": lambda x, layer, tensors, n_steps: x @ tensors[layer["weight"]].T + tensors[layer["bias"]],
    "batch_norm": _batch_norm,
    "relu": lambda x, layer, tensors, n_steps: np.maximum(x, 0),
}
