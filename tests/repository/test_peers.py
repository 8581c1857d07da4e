"""`python -m benchmarks.peers` where no peer but ONNX Runtime is installed, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.models import export_model, random_windows
from benchmarks.peers import __main__ as peers
from benchmarks.peers.contender import Contender
from benchmarks.peers.litert import folded_layers
from benchmarks.peers.ours import onnxruntime_contender
from benchmarks.peers.race import largest_differences
from offbeat.bundle import ModelVersion
from offbeat.result import FloatArray


@pytest.fixture(scope="module")
def m5(tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    """The design's table of 30 columns."""
    return export_model("M5", tmp_path_factory.mktemp("peers"))


def _contender(errors: FloatArray, *, is_reduced: bool = False) -> Contender:
    return Contender(name="peer", call=lambda: None, errors=lambda: errors, is_reduced=is_reduced)


def test_it_races_the_core_and_onnx_runtime_where_nothing_else_is_installed(
    m5: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    raced = peers.measure("M5", 4, {"M5": m5}, rtneural={}, seconds=0.0)["contenders"]
    assert list(raced) == ["native float32", "native bfloat16", "native int8", "onnxruntime"]
    assert raced["native float32"]["ratio"] == 1.0
    assert 0 < raced["onnxruntime"]["largest_difference"] <= 1e-4
    assert all(each["us"] > 0 and each["ratio_low"] <= each["ratio"] <= each["ratio_high"] for each in raced.values())


@pytest.mark.parametrize("seen", [1.001, np.nan])
def test_a_peer_that_computes_something_else_has_no_time(seen: float) -> None:
    eager = np.ones(2, np.float32)
    with pytest.raises(SystemExit, match="peer: errors are"):
        largest_differences([_contender(np.array([1.0, seen], np.float32))], eager)


def test_a_reduced_precision_is_told_apart_not_refused() -> None:
    errors = np.array([1.0, 1.01], np.float32)
    found = largest_differences([_contender(errors, is_reduced=True)], np.ones(2, np.float32))
    assert found["peer"] == pytest.approx(0.01, rel=1e-3)


def test_layers_folded_for_a_peer_give_the_errors_that_the_graph_gives(m5: ModelVersion) -> None:
    rows = random_windows("M5", 8, seed=3)
    values = rows
    for layer in folded_layers(Path(m5.path)):
        values = values @ layer.weight.T + layer.bias
        values = np.maximum(values, 0) if layer.has_relu else values
    errors = np.square(values - rows).mean(axis=1)
    contender = onnxruntime_contender(m5.path, rows)
    np.testing.assert_allclose(errors, contender.errors(), rtol=1e-5)
