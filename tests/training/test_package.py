from __future__ import annotations

import subprocess
import sys

import pytest

import offbeat_training
import offbeat_training.architectures
import offbeat_training.evaluation
import offbeat_training.generators

EXPORTS = {
    offbeat_training: [
        "Autoencoder",
        "Checkpoint",
        "Detector",
        "LSTMAutoencoder",
        "TrainingConfig",
        "VariationalAutoencoder",
        "build_architecture",
    ],
    offbeat_training.architectures: [
        "Architecture",
        "Autoencoder",
        "LSTMAutoencoder",
        "VariationalAutoencoder",
        "build_architecture",
    ],
    offbeat_training.evaluation: [
        "Comparison",
        "Contender",
        "DetectionQuality",
        "LabelSelection",
        "ScoreFile",
        "compare",
        "measure",
        "quality_tables",
        "read_labels",
        "read_scores",
        "vus_pr",
    ],
    offbeat_training.generators: ["server_metrics", "write_csv"],
}


@pytest.mark.parametrize("package", EXPORTS, ids=lambda package: package.__name__)
def test_a_package_exports_exactly_what_is_promised(package: object) -> None:
    names = package.__all__  # type: ignore[attr-defined]
    assert names == EXPORTS[package]  # type: ignore[index]
    assert all(getattr(package, name) is not None for name in names)


def test_a_name_that_is_not_exported_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Oracle'"):
        offbeat_training.Oracle  # noqa: B018


def test_importing_the_package_leaves_torch_unloaded() -> None:
    code = "import sys, offbeat_training; print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
