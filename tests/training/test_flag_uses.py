from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from offbeat.errors import ConfigurationError
from offbeat_training.generators import server_metrics, write_csv
from tests.training.commands import error_of, run

SHORT = ("--seq-len", 20, "--hidden-size", 2, "--epochs", 1, "--device", "cpu")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """metrics.csv, windows.npz, scores.csv of its rows and labels.json, in the current folder."""
    monkeypatch.chdir(tmp_path)
    write_csv(server_metrics(400, n_anomalies=1, anomaly_minutes=40), "metrics.csv")
    np.savez("windows.npz", x=np.random.default_rng(0).normal(size=(40, 12, 1)))
    scores = "row,timestamp,reconstruction_error,anomaly_score,is_anomaly\n"
    Path("scores.csv").write_text(scores + "".join(f"{row},,{row},1,1\n" for row in range(400)))
    Path("samples.csv").write_text(
        scores.replace("row", "sample", 1) + "".join(f"{row},,{row},1,1\n" for row in range(400))
    )
    Path("labels.json").write_text("{}")
    return tmp_path


TRAIN = [
    (("train", "metrics.csv", "--key", "x"), "--key is given, and nothing here reads it; it goes with an npz file"),
    (("train", "windows.npz", "--delimiter", ";"), "--delimiter .* a csv file"),
    (("train", "metrics.csv", "--normal-label", "1"), "--normal-label .* --label-column"),
    (("train", "metrics.csv", "--preset", "tabular", "--seq-len", 9), "--seq-len .* a preset for series"),
    (("train", "metrics.csv", "--preset", "tabular", "--stride", 2), "--stride .* a preset for series"),
    (("train", "metrics.csv", "--layout", "windows", "--seq-len", 9), "--seq-len .* --layout rows"),
    (("train", "windows.npz", "--seq-len", 9), "--seq-len .* not ready-made windows"),
    (("train", "metrics.csv", "--threshold-method", "pot", "--percentile", 9), "--percentile .* percentile"),
    (("train", "metrics.csv", "--threshold", 1, "--percentile", 9), "--percentile .* percentile"),
    (("search", "metrics.csv", "--key", "x"), "--key .* an npz file"),
    (("search", "metrics.csv", "--labelled-data", "metrics.csv"), "--labelled-data .* --metric roc-auc or pr-auc"),
]
JUDGED = ("evaluate", "scores.csv", "--labels", "metrics.csv", "--label-column", "label")
EVALUATE = [
    ((*JUDGED, "--series", "a"), "--series .* NAB's json"),
    ((*JUDGED, "--train-key", "a"), "--train-key .* --train"),
    ((*JUDGED, "--train", "metrics.csv", "--train-key", "a"), "--train-key .* an npz file as --train"),
    ((*JUDGED, "--train-label-column", "label"), "--train-label-column .* --train"),
    ((*JUDGED, "--train", "metrics.csv", "--train-normal-label", "1"), "--train-normal-label .* --train-label-column"),
    ((*JUDGED, "--seq-len", 9), "--seq-len .* --train"),
    ((*JUDGED, "--data", "metrics.csv"), "--data .* --train, --report or --png"),
    ((*JUDGED, "--features", "cpu"), "--features .* --train, --report or --png"),
    ((*JUDGED, "--missing", "interpolate"), "--missing .* --train, --report or --png"),
    ((*JUDGED, "--train", "metrics.csv", "--key", "x"), "--key .* an npz file of data"),
    ((*JUDGED, "--model", "models"), "--model .* --report or --png"),
    ((*JUDGED, "--history", "metrics.csv"), "--history .* --report or --png"),
    (("evaluate", "scores.csv", "--labels", "labels.json", "--label-column", "x"), "--label-column .* windows of time"),
    (("evaluate", "scores.csv", "--labels", "labels.json", "--delimiter", ";"), "--delimiter .* a csv file"),
    (("evaluate", "samples.csv", *JUDGED[2:], "--vus-window", 9), "--vus-window .* scores of rows"),
    (
        ("evaluate", "samples.csv", *JUDGED[2:], "--train", "metrics.csv", "--seq-len", 9),
        "--seq-len .* rows of a series",
    ),
]


@pytest.mark.parametrize(("arguments", "words"), [*TRAIN, *EVALUATE])
def test_a_flag_that_nothing_reads_is_refused_with_what_it_goes_with(
    files: Path, arguments: tuple[object, ...], words: str
) -> None:
    before = sorted(files.iterdir())
    with pytest.raises(ConfigurationError, match=words):
        raise error_of(run(*arguments))
    assert sorted(files.iterdir()) == before


def test_a_file_of_settings_is_held_to_it_too_and_an_environment_is_not(files: Path) -> None:
    Path("train.toml").write_text("key = 'x'\n")
    error = error_of(run("train", "metrics.csv", "--config", "train.toml"))
    assert str(error).startswith("--key is given, and nothing here reads it")
    done = run("train", "metrics.csv", *SHORT, OFFBEAT_KEY="x", OFFBEAT_NORMAL_LABEL="1")
    assert done.exit_code == 0, done.output


def test_a_flag_of_its_defaults_value_is_in_nobodys_way(files: Path) -> None:
    flags = ("--threshold-method", "pot", "--percentile", 95, "--normal-label", "0")
    assert run("train", "metrics.csv", *SHORT, *flags).exit_code == 0


def test_a_search_may_look_for_what_makes_a_flag_useful(files: Path) -> None:
    flags = ("--preset", "tabular", "--epochs", 1, "--n-trials", 1, "--method", "grid", "--device", "cpu")
    done = run("search", "metrics.csv", *flags, "--seq-len", 9, "--space", "preset=repeat,tabular", "--hidden-size", 3)
    assert "nothing here reads it" not in str(done.exception)
