"""Plans of every layer kind and of unusual sizes, against the numpy reader in double precision."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save

from offbeat.native import Session
from tests.export import plan_reader
from tests.native.designs import ISAS

Layers = list[dict[str, Any]]


class PlanBuilder:
    """Collects layers and their random tensors."""

    def __init__(self, n_features: int, *, seed: int = 0) -> None:
        self.tensors: dict[str, NDArray[np.float32]] = {}
        self.random = np.random.default_rng(seed)
        self.n_features = n_features

    def tensor(self, *shape: int, scale: float | None = None) -> str:
        name = f"tensor_{len(self.tensors)}"
        spread = scale if scale is not None else 1 / np.sqrt(shape[-1])
        self.tensors[name] = (self.random.standard_normal(shape) * spread).astype(np.float32)
        return name

    def lstm(self, n_in: int, size: int, **states: str) -> dict[str, Any]:
        return {"kind": "lstm", "input_size": n_in, "hidden_size": size, **self._direction(n_in, size), **states}

    def bidirectional(self, n_in: int, size: int, **states: str) -> dict[str, Any]:
        backward = {f"{name}_reverse": tensor for name, tensor in self._direction(n_in, size).items()}
        return self.lstm(n_in, size) | backward | states | {"kind": "bidirectional_lstm"}

    def _direction(self, n_in: int, size: int) -> dict[str, str]:
        return {
            "weight_input": self.tensor(4 * size, n_in),
            "weight_hidden": self.tensor(4 * size, size),
            "bias_input": self.tensor(4 * size, scale=0.1),
            "bias_hidden": self.tensor(4 * size, scale=0.1),
        }

    def linear(self, n_in: int, n_out: int) -> dict[str, Any]:
        return {
            "kind": "linear",
            "input_size": n_in,
            "output_size": n_out,
            "weight": self.tensor(n_out, n_in),
            "bias": self.tensor(n_out, scale=0.3),
        }

    def batch_norm(self, size: int) -> dict[str, Any]:
        names = {name: self.tensor(size, scale=1.0) for name in ("mean", "variance", "weight", "bias")}
        self.tensors[names["variance"]] = np.abs(self.tensors[names["variance"]]) + np.float32(0.1)
        return {"kind": "batch_norm", "size": size, "epsilon": 1e-5, **names}

    def dense_state(self, n_in: int, size: int, activation: str, **states: str) -> dict[str, Any]:
        return {
            "kind": "dense_state",
            "input_size": n_in,
            "output_size": size,
            "activation": activation,
            "weight_hidden": self.tensor(size, n_in),
            "weight_cell": self.tensor(size, n_in),
            "bias_hidden": self.tensor(size, scale=0.3),
            "bias_cell": self.tensor(size, scale=0.3),
            **states,
        }

    def draws(self, n_in: int, size: int, n_draws: int) -> dict[str, Any]:
        return {
            "kind": "gaussian_draws",
            "input_size": n_in,
            "output_size": size,
            "n_draws": n_draws,
            "limit": 3.0,
            "weight_mean": self.tensor(size, n_in),
            "bias_mean": self.tensor(size, scale=0.3),
            "weight_log_variance": self.tensor(size, n_in),
            "bias_log_variance": self.tensor(size, scale=2.0),
            "noise": self.tensor(n_draws, size, scale=1.0),
        }

    def file(
        self,
        layers: Layers,
        *,
        time: str | int | None = "time",
        error: str = "mean_squared",
        heads: Layers | None = None,
    ) -> bytes:
        self.tensors["mean"] = self.random.standard_normal(self.n_features).astype(np.float32)
        self.tensors["scale"] = (np.abs(self.random.standard_normal(self.n_features)) + 0.5).astype(np.float32)
        self.tensors["threshold"] = np.array(0.7, np.float32)
        plan = {
            "schema_version": 1,
            "input": {"name": "window", "shape": ["batch", *([] if time is None else [time]), self.n_features]},
            "normalisation": {"mean": "mean", "scale": "scale"},
            "layers": layers,
            "error": error,
            "threshold": "threshold",
        }
        if heads:
            plan["heads"] = heads
        return save(self.tensors, metadata={"plan": json.dumps(plan)})


def expected_outputs(
    content: bytes, windows: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> dict[str, NDArray[Any]]:
    """The numpy reader's outputs, computed in double precision."""
    plan, tensors = plan_reader.read(content)
    doubles = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
    monkeypatch.setattr(plan_reader, "read", lambda _: (plan, doubles))
    return plan_reader.score(content, windows.astype(np.float64))


def repeat(size: int, n_features: int, n_layers: int = 1, n_repeats: int | None = None) -> tuple[PlanBuilder, Layers]:
    plan = PlanBuilder(n_features)
    repeated = {"kind": "repeat"} | ({} if n_repeats is None else {"n_repeats": n_repeats})
    encoder = [plan.lstm(n_features if index == 0 else size, size) for index in range(n_layers)]
    decoder = [plan.lstm(size, size) for _ in range(n_layers)]
    return plan, [*encoder, {"kind": "last_step"}, repeated, *decoder, plan.linear(size, n_features)]


def states() -> tuple[PlanBuilder, Layers]:
    plan = PlanBuilder(5)
    return plan, [
        plan.bidirectional(5, 9, final_state="encoded"),
        plan.dense_state(18, 6, "relu", state="encoded", final_state="narrow"),
        plan.dense_state(6, 17, "tanh", state="narrow", final_state="wide"),
        {"kind": "hidden_state", "state": "wide"},
        {"kind": "repeat"},
        plan.lstm(17, 17, initial_state="wide", final_state="decoded"),
        plan.bidirectional(17, 19),
        plan.linear(38, 5),
        {"kind": "tanh"},
    ]


def zeros() -> tuple[PlanBuilder, Layers]:
    plan = PlanBuilder(2)
    return plan, [
        plan.lstm(2, 32, final_state="first"),
        plan.lstm(32, 32, final_state="second"),
        {"kind": "zeros", "size": 2},
        plan.lstm(2, 32, initial_state="first"),
        plan.lstm(32, 32, initial_state="second"),
        plan.linear(32, 2),
    ]


def without_sequence() -> tuple[PlanBuilder, Layers]:
    """Layers on a repeated value, and a reconstruction that is the same at all steps."""
    plan = PlanBuilder(20)
    return plan, [
        plan.lstm(20, 12),
        {"kind": "last_step"},
        {"kind": "repeat"},
        plan.linear(12, 20),
        plan.batch_norm(20),
        {"kind": "sigmoid"},
        {"kind": "relu"},
        plan.batch_norm(20),
    ]


def residual() -> tuple[PlanBuilder, Layers]:
    plan = PlanBuilder(4)
    return plan, [
        {"kind": "keep", "name": "window"},
        plan.lstm(4, 4),
        {"kind": "add", "name": "window"},
        plan.lstm(4, 3),
        plan.linear(3, 4),
        {"kind": "add", "name": "window"},
    ]


def flat(n_features: int = 3, n_steps: int = 12) -> tuple[PlanBuilder, Layers]:
    plan = PlanBuilder(n_features)
    return plan, [
        {"kind": "flatten"},
        plan.linear(n_features * n_steps, 40),
        plan.batch_norm(40),
        {"kind": "relu"},
        {"kind": "keep", "name": "kept"},
        plan.linear(40, 40),
        {"kind": "sigmoid"},
        {"kind": "add", "name": "kept"},
        plan.linear(40, n_features * n_steps),
        {"kind": "unflatten", "n_steps": n_steps},
    ]


def flat_beside_steps(n_features: int) -> tuple[PlanBuilder, Layers]:
    plan, layers = flat(n_features)
    return plan, [{"kind": "keep", "name": "window"}, *layers, {"kind": "add", "name": "window"}]


def drawn_table() -> tuple[PlanBuilder, Layers]:
    plan = PlanBuilder(30)
    return plan, [
        plan.linear(30, 33),
        {"kind": "relu"},
        plan.draws(33, 5, 10),
        plan.linear(5, 16),
        plan.batch_norm(16),
        {"kind": "sigmoid"},
        plan.linear(16, 30),
    ]


def dense_only() -> tuple[PlanBuilder, Layers]:
    plan = PlanBuilder(1)
    return plan, [plan.linear(1, 3), {"kind": "tanh"}, plan.linear(3, 50), {"kind": "relu"}, plan.linear(50, 1)]


PLANS = {
    "one unit, one feature": (lambda: repeat(1, 1), "time", "mean_squared"),
    "five units": (lambda: repeat(5, 3, n_layers=2), "time", "sum_absolute"),
    "one vector": (lambda: repeat(16, 4), "time", "sum_squared"),
    "two vectors": (lambda: repeat(32, 1, n_layers=2), "time", "mean_squared"),
    "166 features": (lambda: repeat(40, 166), "time", "mean_squared"),
    "513 units": (lambda: repeat(513, 2), "time", "mean_squared"),
    "fewer repeats": (lambda: repeat(8, 2, n_repeats=5), "time", "mean_squared"),
    "more repeats": (lambda: repeat(8, 2, n_repeats=30), "time", "mean_squared"),
    "states": (states, "time", "mean_squared"),
    "zeros": (zeros, "time", "mean_squared"),
    "without a sequence": (without_sequence, "time", "sum_absolute"),
    "residual": (residual, "time", "mean_squared"),
    "flat": (flat, 12, "mean_squared"),
    "flat, one feature": (lambda: flat(1), 12, "sum_squared"),
    "flat, 20 features": (lambda: flat(20), 12, "sum_absolute"),
    "flat, one step": (lambda: flat(2, 1), 1, "mean_squared"),
    "flat beside steps": (lambda: flat_beside_steps(5), 12, "mean_squared"),
    "flat beside steps, two features": (lambda: flat_beside_steps(2), 12, "mean_squared"),
    "drawn table": (drawn_table, None, "mean_squared"),
    "dense only": (dense_only, "time", "mean_squared"),
}


def windows_of(plan: PlanBuilder, time: str | int | None, n: int, n_steps: int) -> NDArray[np.float32]:
    steps = [] if time is None else [time if isinstance(time, int) else n_steps]
    return plan.random.standard_normal((n, *steps, plan.n_features)).astype(np.float32)


def assert_outputs_are_close(
    seen: dict[str, NDArray[np.generic]], expected: dict[str, NDArray[Any]], tolerance: float
) -> None:
    for name, array in seen.items():
        if name == "is_anomaly":
            continue
        bound = tolerance * np.maximum(1, np.abs(expected[name]))
        difference = np.abs(array.astype(np.float64) - expected[name])
        assert (difference <= bound).all(), (name, float((difference / bound).max()))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", PLANS)
def test_plans_of_every_kind_score_as_the_numpy_reader_does(
    name: str, isa: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, time, error = PLANS[name]
    plan, layers = make()
    content = plan.file(layers, time=time, error=error)
    session = Session.parse(content, isa=isa)
    windows = windows_of(plan, time, n=8, n_steps=11)
    expected = expected_outputs(content, windows, monkeypatch)
    for n in (1, 8):
        seen = session.score(windows[:n], session.output_names)
        assert_outputs_are_close(seen, {key: array[:n] for key, array in expected.items()}, tolerance=2e-5)


@pytest.mark.parametrize("n_steps", [1, 2, 4096])
def test_windows_of_one_step_and_of_thousands_are_scored(n_steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, layers = repeat(32, 2)
    content = plan.file(layers)
    session = Session.parse(content)
    windows = windows_of(plan, "time", n=1, n_steps=n_steps)
    expected = expected_outputs(content, windows, monkeypatch)
    assert_outputs_are_close(session.score(windows, session.output_names), expected, tolerance=2e-5)


def test_heads_read_kept_values_and_need_no_more_than_they_read(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, layers = repeat(20, 3)
    layers.insert(1, {"kind": "keep", "name": "encoded"})
    layers.insert(5, {"kind": "keep", "name": "decoded"})
    heads = [
        {
            "output": "class_probability",
            "value": "decoded",
            "layers": [{"kind": "last_step"}, plan.linear(20, 5), {"kind": "softmax"}],
        },
        {"output": "forecast", "value": "encoded", "layers": [plan.linear(20, 3)]},
    ]
    content = plan.file(layers, heads=heads)
    session = Session.parse(content)
    windows = windows_of(plan, "time", n=9, n_steps=6)
    expected = expected_outputs(content, windows, monkeypatch)
    assert_outputs_are_close(session.score(windows, session.output_names), expected, tolerance=2e-5)
    for output in ("class_probability", "forecast"):
        assert_outputs_are_close(session.score(windows, (output,)), expected, tolerance=2e-5)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ["two vectors", "166 features", "states", "zeros", "flat", "drawn table"])
def test_narrow_weights_are_multiplied_in_float32(
    name: str, precision: str, isa: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, time, error = PLANS[name]
    plan, layers = make()
    content = plan.file(layers, time=time, error=error)
    session = Session.parse(content, isa=isa, precision=precision)
    windows = windows_of(plan, time, n=8, n_steps=11)
    for tensor_name, tensor in plan.tensors.items():
        # Matrices of 16 columns and more are rounded, but for those of three rows and fewer.
        if tensor.ndim == 2 and tensor.shape[1] >= 16 and len(tensor) > 3 and not _is_noise(layers, tensor_name):
            plan.tensors[tensor_name] = _rounded(tensor, precision)
    rounded = save(plan.tensors, metadata={"plan": json.dumps(plan_reader.read(content)[0])})
    expected = expected_outputs(rounded, windows, monkeypatch)
    assert_outputs_are_close(session.score(windows, session.output_names), expected, tolerance=2e-5)


def _is_noise(layers: Layers, name: str) -> bool:
    return any(layer.get("noise") == name for layer in layers)


def _rounded(array: NDArray[np.float32], precision: str) -> NDArray[np.float32]:
    if precision == "float16":
        return array.astype(np.float16).astype(np.float32)
    bits = array.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


@pytest.mark.parametrize("name", ["two vectors", "166 features", "513 units", "drawn table"])
def test_int8_is_near_float32_and_the_same_in_every_batch(name: str) -> None:
    make, time, error = PLANS[name]
    plan, layers = make()
    content = plan.file(layers, time=time, error=error)
    windows = windows_of(plan, time, n=40, n_steps=11)
    outputs = Session.parse(content).output_names
    exact = Session.parse(content).score(windows, outputs)
    session = Session.parse(content, precision="int8")
    seen = session.score(windows, outputs)
    np.testing.assert_allclose(seen["reconstruction_error"], exact["reconstruction_error"], rtol=2e-2)
    assert (seen["reconstruction_error"] != exact["reconstruction_error"]).any()
    for start, end in ((0, 1), (5, 8), (1, 40)):
        apart = session.score(windows[start:end], outputs)
        for output in outputs:
            np.testing.assert_array_equal(apart[output], seen[output][start:end])
