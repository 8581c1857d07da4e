"""Races of engines: what happens to one that dies, hangs, or is a GPU's."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.engines import race as races
from benchmarks.engines.race import REFERENCE, Race, Stable
from benchmarks.engines.worker import make_call
from benchmarks.summary import engine_table, in_short
from offbeat.backends import auto_backend
from offbeat.backends.cuda_backend import CudaBackend
from offbeat.bundle import ModelVersion
from offbeat.errors import MissingExtraError
from tests.runtime import folders
from tests.runtime.backends.fake_gpu import fake_lane

WINDOWS = folders.random_windows(2)
# Speaks the workers' protocol. `dies` ends its process, `hangs` never answers, `refuses` says why it cannot.
WORKER = """
import json, os, sys, time
loaded = set()
for line in sys.stdin:
    order = json.loads(line)
    engine = order["engine"]
    if order["do"] == "load" and engine == "DIES": os._exit(3)
    if order["do"] == "load" and engine == "HANGS": time.sleep(600)
    if order["do"] == "load" and engine == "REFUSES": answer = {"problem": "no such instructions"}
    elif order["do"] == "load": loaded.add(engine); answer = {"errors": None if engine == "reference" else [0.5, 0.5]}
    elif order["do"] == "drop": loaded.clear(); answer = {}
    else: assert engine in loaded; answer = {"seconds": 1e-3}
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folders.write_version(tmp_path / "models", safetensors=folders.safetensors_bytes())


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, limits: Path | None = None, **behaviour: str) -> Race:
    """A race of four engines whose workers do nothing; `dies="native"` is what that one does."""
    program = WORKER
    for what in ("dies", "hangs", "refuses"):
        program = program.replace(what.upper(), behaviour.get(what, "nobody"))
    worker = folder.parent / "worker.py"
    worker.write_text(program)
    monkeypatch.setattr(races, "WORKER", (str(worker),))
    with Stable(1) as stable:
        engines = ("eager", "torchscript", "native", "native-int8")
        return races.race(stable, folder, WINDOWS, engines, seconds=0.0, limits=limits)


@pytest.mark.parametrize("what", ["dies", "hangs"])
def test_an_engine_that_brings_its_process_down_is_left_out_and_its_family_races_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    ask = Stable.ask

    def ask_patiently(stable: Stable, engine: str, **order: Any) -> dict[str, Any]:
        """Only of the one that hangs there is nothing to wait for: on a busy machine the others take their time to start."""
        hangs = (what, engine, order["do"]) == ("hangs", "native-int8", "load")
        monkeypatch.setattr(races, "LONGEST_TURN_S", 0.5 if hangs else 60.0)
        return ask(stable, engine, **order)

    monkeypatch.setattr(Stable, "ask", ask_patiently)
    found = run(folder, monkeypatch, **{what: "native-int8"})
    assert set(found.times) == {"eager", "torchscript", "native", REFERENCE}
    assert "its process ended with" in found.left_out["native-int8"]


def test_an_engine_that_cannot_run_a_model_is_left_out_with_its_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run(folder, monkeypatch, refuses="eager")
    assert found.left_out == {"eager": "no such instructions"}
    assert set(found.errors) == {"torchscript", "native", "native-int8"}


def test_what_the_processor_can_do_is_measured_in_every_round(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = folder.parent / "limits"
    told = {"isa": "avx2", "fma_per_ns": 50, "activation_ns": 0.1}
    told |= {f"{level}_bytes_per_ns": 100 for level in ("l1", "l2", "l3")}
    limits.write_text(f"#!{sys.executable}\nimport json\nprint(json.dumps({told}))\n")
    limits.chmod(0o755)
    found = run(folder, monkeypatch, limits=limits)
    assert len(found.machine) == len(found.limits_us) == len(found.times["native"]) == 1
    assert found.machine[0]["fma_per_ns"] == 50
    assert found.limits_us[0] > 0


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Versions that were opened on a made-up GPU."""
    opened: list[Any] = []

    def open_gpu(kind: Any, version: ModelVersion, config: Any) -> CudaBackend:
        opened.append(version)
        return CudaBackend("cuda", "made up", lambda: fake_lane(version), n_streams=1)

    monkeypatch.setattr(auto_backend, "open_gpu", open_gpu)
    return opened


def test_cuda_is_timed_on_the_gpu_and_onnxruntime_never(folder: Path, gpus: list[Any]) -> None:
    expected = folders.expected_outputs(WINDOWS)["reconstruction_error"]
    np.testing.assert_allclose(make_call("onnxruntime", folder, 1, WINDOWS)(), expected, rtol=1e-5)
    assert gpus == []
    np.testing.assert_allclose(make_call("cuda", folder, 1, WINDOWS)(), expected, rtol=1e-5)
    assert len(gpus) == 1


def test_without_a_gpu_cuda_says_what_is_missing(folder: Path) -> None:
    with pytest.raises(MissingExtraError, match="device is 'cuda'"):
        make_call("cuda", folder, 1, WINDOWS)


def test_a_result_in_short_has_the_figures_that_pages_are_written_from_and_no_samples() -> None:
    about = {"version": "5", "machine_info": {"cpu": {"brand_raw": "made up"}, "processor": ""}}
    kept = {"model": "M1", "batch": 1, "threads": 1, "backend": "eager", "parity_max_abs": 0.0}
    stats = {"median": 0.123456789, "rounds": 2, "data": [0.1, 0.2], "ops": 8.1}
    benchmark = {"name": "a", "stats": stats, "extra_info": {**kept, "reference_data": [1.0]}}
    short = json.loads(in_short({**about, "benchmarks": [benchmark] * 2}))
    assert {key: short[key] for key in about} == about
    assert short["benchmarks"] == [{"name": "a", "stats": {"median": 0.123457, "rounds": 2}, "extra_info": kept}] * 2
    assert engine_table(short).count("123,457.0") == 1
