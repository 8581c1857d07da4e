"""Columns that only some models fill, in process and from a server."""

from __future__ import annotations

import csv
import subprocess
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

import offbeat
from offbeat.conformal import Calibration
from offbeat.result import Threshold
from offbeat_export import export_checkpoint
from tests.export.checkpoints import CHECKPOINTS, LENGTH
from tests.integration.conftest import ENVIRONMENT, OFFBEAT, Run, Serve

N_ROWS = LENGTH + 9
CASES = ("repeat-forecast", "repeat-classifier", "variational")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three models with conformal thresholds, and a csv file of data for each."""
    repository = tmp_path_factory.mktemp("models")
    for case in CASES:
        checkpoint = CHECKPOINTS[case]()
        calibration = Calibration.of(np.linspace(0.1, 60, 120).astype(np.float32), kept_rank=1)
        threshold = Threshold(
            value=1.5, method="conformal", n_windows=120, false_alarm_rate=0.05, calibration=calibration
        )
        training = {**checkpoint.training}
        if case == "repeat-classifier":
            training["class_names"] = ("idle", "busy", "off")
        changed = replace(checkpoint, threshold=threshold, training=training)
        export_checkpoint(changed, repository, name=case)
        mean, scale = changed.normalisation.mean.numpy(), changed.normalisation.scale.numpy()
        values = mean + scale * np.random.default_rng(0).normal(size=(N_ROWS, len(mean)))
        header = ",".join(changed.feature_names)
        np.savetxt(repository.parent / f"{case}.csv", values, "%.6f", ",", header=header, comments="")
    return repository


def scored(offbeat_run: Run, repository: Path, case: str, *flags: object) -> dict[str, np.ndarray]:
    """The columns that `offbeat score` writes, an empty cell being NaN."""
    out = repository.parent / "scores.csv"
    offbeat_run("score", repository.parent / f"{case}.csv", "--out", out, *flags)
    with out.open(newline="") as file:
        header, *lines = csv.reader(file)
    return {
        name: np.array([float(cell) if cell else np.nan for cell in cells])
        for name, cells in zip(header, zip(*lines, strict=True), strict=True)
        if name != "timestamp"
    }


def expected(repository: Path, case: str, stride: int = 1) -> tuple[offbeat.ScoreResult, np.ndarray]:
    """What the model gives for each window of the data, and the first rows of the windows."""
    values = np.loadtxt(repository.parent / f"{case}.csv", delimiter=",", skiprows=1).astype(np.float32)
    with offbeat.load(repository / case) as scorer:
        if scorer.manifest.window is None:
            return scorer.score(values, scorer.manifest.output_names), np.arange(len(values))
        starts = np.arange(0, N_ROWS - LENGTH + 1, stride)
        windows = np.stack([values[start : start + LENGTH] for start in starts])
        return scorer.score(windows, scorer.manifest.output_names), starts


@pytest.mark.parametrize("is_served", [False, True])
def test_each_line_gets_what_its_model_gives(
    offbeat: Run, serving: Serve, repository: Path, is_served: bool, tmp_path: Path
) -> None:
    with serving(repository) if is_served else nullcontext() as target:
        place = lambda case: ("--server", target, "--model", case) if is_served else ("--model", repository / case)  # noqa: E731
        spread = scored(offbeat, repository, "variational", *place("variational"), "--columns", "error_std,p_value")
        result, _ = expected(repository, "variational")
        np.testing.assert_allclose(spread["error_std"], result.error_std, rtol=1e-5)
        _check_p_values(spread)

        forecast = scored(
            offbeat, repository, "repeat-forecast", *place("repeat-forecast"), "--columns", "forecast",
            "--outputs", tmp_path / "outputs.npz",
        )  # fmt: skip
        result, starts = expected(repository, "repeat-forecast")
        assert result.forecast is not None
        predicted = np.stack([forecast[f"forecast_sensor {index}"] for index in range(3)], axis=1)
        # Row t is predicted by the window that ended at row t − 1; the last window predicts a row that is not there.
        np.testing.assert_allclose(predicted[starts[:-1] + LENGTH], result.forecast[:-1, -1], rtol=1e-5)
        assert np.isnan(predicted[:LENGTH]).all()
        with np.load(tmp_path / "outputs.npz") as arrays:
            assert set(arrays) == {"feature_error", "reconstruction", "forecast", "p_value", "feature_names"}
            np.testing.assert_allclose(arrays["forecast"], predicted, rtol=1e-5)

        classes = scored(
            offbeat, repository, "repeat-classifier", *place("repeat-classifier"), "--columns", "class_probability, p_value",
            "--row-score", "newest", "--stride", 4,
        )  # fmt: skip
        result, starts = expected(repository, "repeat-classifier", stride=4)
        assert result.class_probability is not None
        names = ("idle", "busy", "off")
        probability = np.stack([classes[f"class_probability_{name}"] for name in names], axis=1)
        # A window is of the class of its last row.
        np.testing.assert_allclose(probability[starts + LENGTH - 1], result.class_probability, rtol=1e-5)
        assert np.isnan(probability[: LENGTH - 1]).all()
        _check_p_values(classes)


def _check_p_values(columns: dict[str, np.ndarray]) -> None:
    n_as_large = (np.linspace(0.1, 60, 120).astype(np.float32) >= columns["reconstruction_error"][:, None]).sum(axis=1)
    np.testing.assert_allclose(columns["p_value"], (1 + n_as_large) / 121, atol=1.1 / 121)
    assert len(set(columns["p_value"])) > 1


def test_a_line_for_each_window_has_the_forecast_of_the_row_behind_it(offbeat: Run, repository: Path) -> None:
    columns = scored(
        offbeat, repository, "repeat-forecast", "--model", repository / "repeat-forecast", "--per", "window",
        "--columns", "forecast,p_value",
    )  # fmt: skip
    result, _ = expected(repository, "repeat-forecast")
    assert result.forecast is not None
    np.testing.assert_allclose(columns["forecast_sensor 1"], result.forecast[:, -1, 1], rtol=1e-5)
    assert np.isfinite(columns["p_value"]).all()


@pytest.mark.parametrize(
    ("case", "columns", "words"),
    [
        ("variational", "forecast", "'forecast', which model 'variational' does not give; it gives error_std"),
        ("repeat-forecast", "p_value,error_std", "'error_std', which model 'repeat-forecast' does not give"),
        ("repeat-forecast", "mood", "columns hold 'mood'; expected some of p_value, error_std, class_probability"),
    ],
)
def test_a_column_that_the_model_cannot_fill_is_refused(repository: Path, case: str, columns: str, words: str) -> None:
    command = [OFFBEAT, "score", repository.parent / f"{case}.csv", "--model", repository / case, "--columns", columns]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_the_names_of_the_classes_are_in_the_manifest_and_only_there_where_there_are_any(repository: Path) -> None:
    with offbeat.load(repository / "repeat-classifier") as scorer:
        assert scorer.manifest.training.class_names == ("idle", "busy", "off")
    with offbeat.load(repository / "variational") as scorer:
        assert "class_names" not in msgspec.to_builtins(scorer.manifest.training)
