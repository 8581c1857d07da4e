"""Windows whose error float32 does not determine: a recurrence may amplify rounding beyond the trained length."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from offbeat.bundle import ModelRepository
from offbeat.config import BackendConfig
from offbeat.errors import InvalidWindowError, ParityError
from offbeat.scorer import Scorer
from offbeat_export.exporter import export_checkpoint
from offbeat_export.parity_report import ParityReport, UndeterminedError, Worst
from tests.export.checkpoints import LENGTH, lstm_checkpoint


def _report(eager_float64: float, n_steps: int) -> ParityReport:
    worst = Worst(
        relative=2e-5,
        output="feature_error",
        case="real, batch 3",
        window=0,
        n_steps=n_steps,
        expected=1.0,
        seen=1.00002,
        eager_float64=eager_float64,
    )
    return ParityReport(format="onnx", worst=worst)


def test_a_missed_bound_says_whether_eager_itself_is_determined_there() -> None:
    with pytest.raises(ParityError) as engines_fault:
        _report(1e-6, 4 * LENGTH).check()
    assert type(engines_fault.value) is ParityError
    with pytest.raises(UndeterminedError, match=r"2\.6e-05 relative away from a float64 run") as models_fault:
        _report(2.6e-5, 4 * LENGTH).check()
    assert models_fault.value.n_steps == 4 * LENGTH


def _check_as_if_undetermined(n_steps: int) -> Callable[[ParityReport], None]:
    really_check = ParityReport.check

    def check(report: ParityReport) -> None:
        really_check(_report(2.6e-5, n_steps) if n_steps in report.lengths else report)

    return check


def test_a_model_whose_longer_windows_are_beyond_float32_is_written_for_the_trained_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ParityReport, "check", _check_as_if_undetermined(4 * LENGTH))
    announced: list[str] = []
    report = export_checkpoint(lstm_checkpoint(), tmp_path, name="model", exporter="classic", announce=announced.append)
    window = report.manifest.window
    assert window is not None
    assert (window.is_time_dynamic, window.min_length) == (False, LENGTH)
    assert [step for step in announced if "beyond float32" in step] == [
        f"exporting for {LENGTH} steps alone, since {4 * LENGTH} are beyond float32"
    ]
    for backend in ("onnxruntime", "torchscript", "eager"):
        with Scorer.open(
            ModelRepository(tmp_path).open("model"), BackendConfig(device="cpu", backend=backend)
        ) as scorer:
            scorer.score(np.zeros((2, LENGTH, 2), np.float32))
            with pytest.raises(InvalidWindowError, match="trained length alone"):
                scorer.score(np.zeros((2, 4 * LENGTH, 2), np.float32))


def test_a_model_whose_trained_length_is_beyond_float32_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ParityReport, "check", _check_as_if_undetermined(LENGTH))
    with pytest.raises(UndeterminedError):
        export_checkpoint(lstm_checkpoint(), tmp_path, name="model", exporter="classic")
    assert not list(tmp_path.iterdir())
