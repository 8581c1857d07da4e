from __future__ import annotations

from pathlib import Path

import pytest

from offbeat.bench import contender as contender_module
from offbeat.bench.contender import Contender, Order, carry_out, time_in_process
from offbeat.errors import BackendError
from tests.runtime import folders


@pytest.mark.parametrize(("backend", "is_left_out"), [("cuda", True), ("tensorrt", True), ("onnxruntime", False)])
def test_a_gpu_that_fails_a_model_is_left_out_and_a_cpu_that_does_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, is_left_out: bool
) -> None:
    def refuse(*_: object) -> None:
        raise BackendError("a batch of 512 golden windows: is_anomaly is off by inf times the parity bound")

    monkeypatch.setattr(contender_module, "create_backend", refuse)
    folder = str(folders.write_version(tmp_path))
    contender = Contender(folder=folder, model="level", version=1, precision="fp32", backend=backend, n_threads=1)
    timed = carry_out(Order(contender=contender, batches=(1,), seconds=0.01))
    assert "is off by inf" in (timed.problem or "")
    assert timed.is_absent is is_left_out


def test_files_that_lie_where_somebody_stands_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folders.write_version(tmp_path / "models")
    for name in ("json", "numpy", "msgspec"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('not this one')\n")
    monkeypatch.chdir(tmp_path)
    contender = Contender(
        folder=str(folder), model="level", version=1, precision="fp32", backend="onnxruntime", n_threads=1
    )
    timed = time_in_process(Order(contender=contender, batches=(1,), seconds=0.05))
    assert timed.problem is None
    assert len(timed.turns[0].times) > 0
