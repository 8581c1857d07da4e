"""Train, export, serve, score: the command line on generated data, and the same numbers everywhere."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import offbeat as package
from offbeat.backends import create_backend
from offbeat.config import BackendConfig
from offbeat.data import Dataset, read_dataset, sliding_windows
from offbeat.result import OUTPUT_NAMES
from offbeat_export import PARITY_BOUND
from offbeat_training.checkpoint import Checkpoint
from offbeat_training.generators import server_metrics, write_csv
from offbeat_training.reconstruction_error import window_errors
from tests.integration.conftest import Run, Serve

LENGTH = 20
FORMATS = ("eager", "torchscript", "onnxruntime", "gRPC")


class Trained(NamedTuple):
    """A small model, trained, exported and served."""

    checkpoint: Path
    repository: Path
    test: Path
    target: str


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, offbeat: Run, serving: Serve) -> Iterator[Trained]:
    folder = tmp_path_factory.mktemp("job")
    write_csv(server_metrics(1500), folder / "train.csv")
    write_csv(server_metrics(400, first_minute=1500, n_anomalies=1, anomaly_minutes=60), folder / "test.csv")
    options = ("--label-column", "label", "--seq-len", LENGTH, "--hidden-size", 12, "--epochs", 6, "--lr", 0.01)
    offbeat("train", folder / "train.csv", "--out", folder / "model.ckpt", *options)
    offbeat("export", folder / "model.ckpt", "--model-repository", folder / "models", "--name", "metrics")
    with serving(folder / "models") as target:
        yield Trained(folder / "model.ckpt", folder / "models", folder / "test.csv", target)


@pytest.fixture(scope="module")
def windows(trained: Trained) -> NDArray[np.float32]:
    """Real windows, and one far outside of anything seen."""
    dataset: Dataset = read_dataset(trained.test)
    real = sliding_windows(dataset.values[:, :2], LENGTH)
    return np.concatenate([real, np.full((1, LENGTH, 2), 1e6, np.float32)])


def scored_by(name: str, trained: Trained, windows: NDArray[np.float32]) -> dict[str, NDArray[np.generic]]:
    version = package.ModelRepository(trained.repository).open("metrics")
    outputs = tuple(output for output in OUTPUT_NAMES if output in version.manifest.output_names)
    if name == "gRPC":
        with package.Client(trained.target) as client:
            return client.score(windows, model="metrics", outputs=outputs).arrays()
    with closing(create_backend(version, BackendConfig(backend=name, device="cpu"))) as backend:
        return backend.run(windows, outputs)


@pytest.mark.parametrize("name", FORMATS)
def test_every_way_to_score_agrees_with_the_checkpoint(
    trained: Trained, windows: NDArray[np.float32], name: str
) -> None:
    checkpoint = Checkpoint.load(trained.checkpoint)
    with torch.inference_mode():
        normalised = checkpoint.normalisation.apply(torch.from_numpy(windows))
        errors, feature_errors, step_errors = window_errors(normalised, checkpoint.build_model()(normalised))
    assert step_errors is not None
    scored = scored_by(name, trained, windows)
    reference = {"reconstruction_error": errors, "feature_error": feature_errors, "step_error": step_errors}
    for output, expected in reference.items():
        bound = PARITY_BOUND * np.maximum(1.0, errors.numpy()).reshape(-1, *(1,) * (expected.dim() - 1))
        assert (np.abs(scored[output] - expected.numpy()) <= bound).all(), output
    np.testing.assert_array_equal(scored["is_anomaly"], errors.numpy() > checkpoint.threshold.value)
    expected_score = np.clip(errors.numpy() / (2 * checkpoint.threshold.value), 0, 1)
    np.testing.assert_allclose(scored["anomaly_score"], expected_score, rtol=1e-5, atol=1e-6)


def test_the_shares_sum_to_the_error(trained: Trained, windows: NDArray[np.float32]) -> None:
    scored = scored_by("onnxruntime", trained, windows)
    for share in ("feature_error", "step_error"):
        np.testing.assert_allclose(scored[share].sum(axis=1), scored["reconstruction_error"], rtol=1e-5)


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_file_scores_the_same_here_and_on_the_server(trained: Trained, offbeat: Run, tmp_path: Path) -> None:
    offbeat("score", trained.test, "--model", trained.repository, "--out", tmp_path / "here.csv")
    there = ("--server", trained.target, "--model", "metrics", "--out", tmp_path / "there.csv")
    offbeat("score", trained.test, *there)
    here, served = read(tmp_path / "here.csv"), read(tmp_path / "there.csv")
    assert [line["timestamp"] for line in here] == [line["timestamp"] for line in read(trained.test)]
    for one, other in zip(here, served, strict=True):
        assert float(one["reconstruction_error"]) == pytest.approx(float(other["reconstruction_error"]), rel=1e-5)
        assert one["is_anomaly"] == other["is_anomaly"]


def test_the_anomaly_is_found_and_judged(trained: Trained, offbeat: Run, tmp_path: Path) -> None:
    offbeat("score", trained.test, "--model", trained.repository, "--out", tmp_path / "scores.csv")
    judged = offbeat("evaluate", tmp_path / "scores.csv", "--labels", trained.test, "--label-column", "label", "--json")
    quality = json.loads(judged.stdout)["quality"]
    assert quality["scores.csv"]["roc_auc"] > 0.9
    assert quality["scores.csv"]["vus_pr"] > quality["random scores"]["vus_pr"]


def test_a_second_export_is_the_next_version_and_the_first_stays(trained: Trained, offbeat: Run) -> None:
    before = (trained.repository / "metrics" / "1" / "manifest.json").read_bytes()
    offbeat("export", trained.checkpoint, "--model-repository", trained.repository, "--name", "metrics")
    assert package.ModelRepository(trained.repository).versions("metrics")[-1] >= 2
    assert (trained.repository / "metrics" / "1" / "manifest.json").read_bytes() == before
