"""A sum grows with the length of a window, and a threshold does not: such models score the trained length alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from offbeat.errors import InvalidWindowError
from offbeat.scorer import Scorer
from offbeat_export import export_checkpoint
from tests.export.checkpoints import CHECKPOINTS, LENGTH


@pytest.mark.parametrize("backend", ["onnxruntime", "torchscript", "eager"])
@pytest.mark.parametrize("case", ["stacked", "repeat-classifier"])
def test_windows_of_another_length_are_refused_with_both_lengths(case: str, backend: str, exported: dict) -> None:
    folder = exported[case]
    with Scorer.open(ModelVersion.open(folder), BackendConfig(backend=backend, device="cpu")) as scorer:
        windows = np.zeros((2, LENGTH, len(scorer.manifest.feature_names)), np.float32)
        assert scorer.score(windows).reconstruction_error is not None
        for length in (1, LENGTH - 1, LENGTH + 1, 3 * LENGTH):
            with pytest.raises(InvalidWindowError, match=f"windows have {length} steps; expected {LENGTH}: .* trained"):
                scorer.score(np.zeros((2, length, windows.shape[2]), np.float32))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    repository = tmp_path_factory.mktemp("models")
    return {
        case: export_checkpoint(CHECKPOINTS[case](), repository, name=case, exporter="classic").folder
        for case in ("stacked", "repeat-classifier")
    }


def test_parity_is_measured_at_the_trained_length_alone(exported: dict[str, Path]) -> None:
    manifest = ModelVersion.open(exported["stacked"]).manifest
    assert manifest.window is not None
    assert (manifest.window.is_time_dynamic, manifest.window.min_length) == (False, LENGTH)
    assert all("steps" not in parity.worst_case for parity in manifest.parity.formats.values())
