from __future__ import annotations

from pathlib import Path

import pytest

from offbeat.bench.contender import Contender, Order, time_in_process
from tests.runtime import folders


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
