"""A reader of `model.safetensors` in numpy, written from docs/format.md alone: it proves that the plan suffices."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Entry = dict[str, Any]


def read(content: bytes) -> tuple[dict[str, Any], dict[str, Floats]]:
    """The plan and the tensors of a safetensors file."""
    (n_header,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + n_header])
    plan = json.loads(header.pop("__metadata__")["plan"])
    data = content[8 + n_header :]
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        tensors[name] = _WIDENED[entry["dtype"]](data[start:end]).reshape(entry["shape"])
    scales = {f"{name}.scale" for name, entry in header.items() if entry["dtype"] == "I8"}
    for name in scales:
        tensors[name.removesuffix(".scale")] *= tensors[name][:, None]
    return plan, {name: tensor for name, tensor in tensors.items() if name not in scales}


def score(content: bytes, window: Floats) -> dict[str, NDArray[Any]]:
    """Every output of the scorer, for raw windows."""
    plan, tensors = read(content)
    assert plan["schema_version"] == 1
    mean, scale = tensors[plan["normalisation"]["mean"]], tensors[plan["normalisation"]["scale"]]
    reader = PlanReader(tensors, n_steps=window.shape[1])
    normalised = (window - mean) / scale
    reconstruction = reader.apply(plan["layers"], normalised)
    outputs = _judge(normalised, reconstruction, plan["error"], tensors[plan["threshold"]])
    if reconstruction.ndim > window.ndim:
        reconstruction = reconstruction.mean(axis=0)
    outputs["reconstruction"] = reconstruction[:, : window.shape[1]] * scale + mean
    for head in plan.get("heads", ()):
        value = reader.apply(head["layers"], reader.values[head["value"]])
        outputs[head["output"]] = value * scale + mean if head["output"] == "forecast" else value
    return outputs


def _judge(normalised: Floats, reconstruction: Floats, kind: str, threshold: Floats) -> dict[str, NDArray[Any]]:
    """Errors, score and decision. A reconstruction may have an axis of draws more, or fewer or more steps."""
    n_steps = min(normalised.shape[1], reconstruction.shape[-2]) if normalised.ndim == 3 else normalised.shape[1]
    difference = (
        normalised[:, :n_steps] - reconstruction[..., :n_steps, :]
        if normalised.ndim == 3
        else (normalised - reconstruction)
    )
    elements = np.abs(difference) if kind == "sum_absolute" else difference**2
    if kind == "mean_squared":
        elements = elements / elements.shape[-1] / (elements.shape[-2] if normalised.ndim == 3 else 1)
    else:
        assert kind in ("sum_squared", "sum_absolute")
    outputs: dict[str, NDArray[Any]] = {}
    if reconstruction.ndim > normalised.ndim:
        outputs["error_std"] = elements.sum(axis=2).std(axis=0)
        elements = elements.mean(axis=0)
    error = elements.reshape(len(elements), -1).sum(axis=1)
    outputs |= {
        "reconstruction_error": error,
        "anomaly_score": np.clip(error / threshold * np.float32(0.5), 0, 1),
        "is_anomaly": error > threshold,
        "feature_error": elements.sum(axis=1) if elements.ndim == 3 else elements,
    }
    return outputs | ({"step_error": elements.sum(axis=2)} if elements.ndim == 3 else {})


class PlanReader:
    """Applies layers to a value, and keeps the values and the states that a plan names."""

    def __init__(self, tensors: dict[str, Floats], n_steps: int) -> None:
        self.tensors, self.n_steps = tensors, n_steps
        self.values: dict[str, Floats] = {}
        self.states: dict[str, tuple[Floats, Floats]] = {}

    def apply(self, layers: list[Entry], value: Floats) -> Floats:
        for layer in layers:
            value = getattr(self, layer["kind"])(value, layer)
        return value

    def lstm(self, x: Floats, layer: Entry) -> Floats:
        zeros = np.zeros((len(x), layer["hidden_size"]), np.float32)
        start = self.states[layer["initial_state"]] if "initial_state" in layer else (zeros, zeros)
        steps, final = self._run(x, layer, "", start)
        if "final_state" in layer:
            self.states[layer["final_state"]] = final
        return steps

    def bidirectional_lstm(self, x: Floats, layer: Entry) -> Floats:
        zeros = np.zeros((len(x), layer["hidden_size"]), np.float32)
        forward, ahead = self._run(x, layer, "", (zeros, zeros))
        backward, behind = self._run(x[:, ::-1], layer, "_reverse", (zeros, zeros))
        if "final_state" in layer:
            hidden, cell = (np.concatenate(halves, axis=1) for halves in zip(ahead, behind, strict=True))
            self.states[layer["final_state"]] = hidden, cell
        return np.concatenate([forward, backward[:, ::-1]], axis=2)

    def _run(
        self, x: Floats, layer: Entry, suffix: str, state: tuple[Floats, Floats]
    ) -> tuple[Floats, tuple[Floats, Floats]]:
        names = (f"{field}{suffix}" for field in ("weight_input", "weight_hidden", "bias_input", "bias_hidden"))
        weight_input, weight_hidden, bias_input, bias_hidden = (self.tensors[layer[name]] for name in names)
        assert weight_input.shape == (4 * layer["hidden_size"], layer["input_size"])
        (hidden, cell), steps = state, []
        for t in range(x.shape[1]):
            gates = x[:, t] @ weight_input.T + hidden @ weight_hidden.T + (bias_input + bias_hidden)
            i, f, g, o = np.split(gates, 4, axis=1)
            cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(g)
            hidden = _sigmoid(o) * np.tanh(cell)
            steps.append(hidden)
        return np.stack(steps, axis=1), (hidden, cell)

    def last_step(self, x: Floats, layer: Entry) -> Floats:
        return x[:, -1]

    def hidden_state(self, x: Floats, layer: Entry) -> Floats:
        return self.states[layer["state"]][0]

    def dense_state(self, x: Floats, layer: Entry) -> Floats:
        activate = _ACTIVATIONS[layer["activation"]]
        hidden, cell = (
            activate(half @ self.tensors[layer[f"weight_{name}"]].T + self.tensors[layer[f"bias_{name}"]])
            for half, name in zip(self.states[layer["state"]], ("hidden", "cell"), strict=True)
        )
        self.states[layer["final_state"]] = hidden, cell
        return x

    def repeat(self, x: Floats, layer: Entry) -> Floats:
        return np.repeat(x[:, None], layer.get("n_repeats", self.n_steps), axis=1)

    def zeros(self, x: Floats, layer: Entry) -> Floats:
        return np.zeros((len(x), self.n_steps, layer["size"]), np.float32)

    def linear(self, x: Floats, layer: Entry) -> Floats:
        return x @ self.tensors[layer["weight"]].T + self.tensors[layer["bias"]]

    def batch_norm(self, x: Floats, layer: Entry) -> Floats:
        spread = np.sqrt(self.tensors[layer["variance"]] + np.float32(layer["epsilon"]))
        centred = x - self.tensors[layer["mean"]]
        return centred / spread * self.tensors[layer["weight"]] + self.tensors[layer["bias"]]

    def relu(self, x: Floats, layer: Entry) -> Floats:
        return np.maximum(x, 0)

    def sigmoid(self, x: Floats, layer: Entry) -> Floats:
        return _sigmoid(x)

    def tanh(self, x: Floats, layer: Entry) -> Floats:
        return np.tanh(x)

    def softmax(self, x: Floats, layer: Entry) -> Floats:
        powers = np.exp(x - x.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)

    def keep(self, x: Floats, layer: Entry) -> Floats:
        self.values[layer["name"]] = x
        return x

    def flatten(self, x: Floats, layer: Entry) -> Floats:
        return x.reshape(len(x), -1)

    def unflatten(self, x: Floats, layer: Entry) -> Floats:
        return x.reshape(len(x), layer["n_steps"], -1)

    def add(self, x: Floats, layer: Entry) -> Floats:
        assert x.shape == self.values[layer["name"]].shape
        return x + self.values[layer["name"]]

    def gaussian_draws(self, x: Floats, layer: Entry) -> Floats:
        mean, log_variance = (
            x @ self.tensors[layer[f"weight_{name}"]].T + self.tensors[layer[f"bias_{name}"]]
            for name in ("mean", "log_variance")
        )
        noise = self.tensors[layer["noise"]]
        assert noise.shape == (layer["n_draws"], layer["output_size"])
        spread = np.exp(np.clip(log_variance, -layer["limit"], layer["limit"]) / 2)
        return mean + spread * noise[:, None]


_WIDENED = {
    "F32": lambda data: np.frombuffer(data, "<f4"),
    "F16": lambda data: np.frombuffer(data, "<f2").astype(np.float32),
    "BF16": lambda data: (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32),
    "I8": lambda data: np.frombuffer(data, "i1").astype(np.float32),
}


def _sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))


_ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
}
