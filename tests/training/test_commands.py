from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from offbeat.errors import ConfigurationError, DataError, MissingExtraError, OffbeatError, TrainingError
from offbeat_training import Checkpoint, TrainingConfig
from offbeat_training.command import evaluate, search, train
from offbeat_training.generators import server_metrics, write_csv
from offbeat_training.run_config import RunConfig
from tests.training.commands import error_of, run

COLUMNS = {
    *("data", "out", "features", "timestamp_column", "label_column", "normal_label", "delimiter", "key", "layout"),
    *("missing", "class_column", "context"),
}


COMMANDS = {"train": train, "search": search, "evaluate": evaluate}


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    write_csv(server_metrics(600, n_anomalies=1, anomaly_minutes=60), tmp_path / "metrics.csv")
    return tmp_path / "metrics.csv"


def test_every_field_of_the_configuration_is_a_flag_of_train_with_the_same_default() -> None:
    parameters = inspect.signature(train).parameters
    fields = {name: getattr(each, name) for each in (TrainingConfig(), RunConfig()) for name in each.__struct_fields__}
    assert set(parameters) - COLUMNS - {"data", "out", "config"} == set(fields)
    for field, default in fields.items():
        assert parameters[field].default == default


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example_every_flag_and_its_environment_variable(command: str) -> None:
    shown = run(command, "--help").output
    assert f"offbeat {command}" in shown.split("Example", 1)[1]
    for name, parameter in inspect.signature(COMMANDS[command]).parameters.items():
        if parameter.default is not inspect.Parameter.empty and name != "json":
            assert f"--{name.replace('_', '-')}" in shown
            assert f"OFFBEAT_{'CHECKPOINT' if name == 'out' else name.upper()}" in shown


def test_importing_the_commands_loads_nothing_heavy() -> None:
    code = (
        "import sys, offbeat_training.command; "
        "print([m for m in ('torch', 'lightning', 'sklearn', 'pyarrow', 'optuna', 'sqlalchemy', 'matplotlib') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_train_writes_a_checkpoint_and_a_summary(metrics: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.ckpt"
    result = run(
        "train", metrics, "--out", out, "--label-column", "label", "--features", "memory, cpu", "--seq-len", 30,
        "--epochs", 2, "--device", "cpu", "--hidden-size", 4, "--percentile", 90,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    checkpoint = Checkpoint.load(out)
    assert checkpoint.feature_names == ("memory", "cpu")
    assert checkpoint.architecture_settings["hidden_size"] == 4
    assert checkpoint.threshold.percentile == 90
    assert re.fullmatch("[0-9a-f]{64}", checkpoint.training["source"]["sha256"])
    for words in ("lstm_autoencoder on metrics.csv", "learnt from", "best loss", "threshold", "seconds", str(out)):
        assert words in result.output.replace("\n", "")


def test_flags_come_from_the_environment_too(metrics: Path, tmp_path: Path) -> None:
    variables = {
        "OFFBEAT_CHECKPOINT": str(tmp_path / "env.ckpt"), "OFFBEAT_EPOCHS": "1", "OFFBEAT_PRESET": "tabular",
        "OFFBEAT_LABEL_COLUMN": "label", "OFFBEAT_LATENT_DIM": "2", "OFFBEAT_THRESHOLD": "0.5",
    }  # fmt: skip
    assert run("train", metrics, **variables).exit_code == 0
    checkpoint = Checkpoint.load(tmp_path / "env.ckpt")
    assert checkpoint.architecture_kind == "autoencoder"
    assert checkpoint.architecture_settings["latent_dim"] == 2
    assert (checkpoint.threshold.value, checkpoint.threshold.method) == (0.5, "fixed")


@pytest.mark.filterwarnings("default::UserWarning")
def test_a_column_with_a_large_offset_is_warned_of_in_one_line(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    values = np.stack([random.normal(size=300), 1e9 + random.normal(0, 30, 300)], axis=1)
    np.savetxt(tmp_path / "metrics.csv", values, "%.3f", ",", header="load,odometer", comments="")
    flags = ("--seq-len", 10, "--hidden-size", 2, "--epochs", 2, "--device", "cpu", "--out", tmp_path / "model.ckpt")
    result = run("train", tmp_path / "metrics.csv", *flags)
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stderr.splitlines() if "odometer" in line]
    assert len(lines) == 1
    assert lines[0].startswith("warning: column 'odometer'")
    assert lines[0].endswith("subtract an offset from it first")
    # The steps of 64 do not swamp the model: the errors are those of two ordinary features.
    assert Checkpoint.load(tmp_path / "model.ckpt").threshold.value < 5


def test_train_reads_windows_from_an_npz_file(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    classes = np.array([1, 2] * 20)
    np.savez(tmp_path / "beats.npz", x=random.normal(size=(40, 12)), classes=classes)
    result = run(
        "train", tmp_path / "beats.npz", "--key", "x", "--layout", "windows", "--label-column", "classes",
        "--normal-label", 1, "--epochs", 1, "--out", tmp_path / "beats.ckpt",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    checkpoint = Checkpoint.load(tmp_path / "beats.ckpt")
    assert checkpoint.validation_windows.shape[1:] == (12, 1)
    assert checkpoint.training["n_training_windows"] + checkpoint.training["n_validation_windows"] == 20


@pytest.mark.parametrize(
    ("flags", "kind", "words"),
    [
        (("--lr", "-1"), ConfigurationError, "lr is -1.0"),
        (("--latent-dim", "3"), ConfigurationError, "use hidden_size"),
        (("--out", "absent/model.ckpt"), ConfigurationError, "a folder that exists"),
        (("--label-column", "mood"), DataError, "no column 'mood'"),
        (
            ("--label-column", "label", "--normal-label", "fine"),
            TrainingError,
            "metrics.csv: 600 of 600 rows are labelled anomalous; the normal label is 'fine'",
        ),
        (("--seq-len", "5000"), OffbeatError, "600 rows hold no window of 5000"),
    ],
)
def test_a_mistake_is_one_line_before_any_training(
    flags: tuple[str, ...], kind: type[OffbeatError], words: str, metrics: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(metrics.parent)
    error = error_of(run("train", metrics, *flags))
    assert isinstance(error, kind)
    assert words in str(error)
    assert [path.name for path in metrics.parent.iterdir()] == ["metrics.csv"]


def test_training_and_judging_read_files_and_not_standard_input(metrics: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(metrics.parent)
    for command in ("train", "search"):
        assert "-: standard input is not read here; expected a file" in str(error_of(run(command, "-")))


def test_the_variable_of_the_scores_of_offbeat_score_is_not_that_of_the_checkpoint(
    metrics: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(metrics.parent)
    flags = ("--epochs", 1, "--preset", "tabular", "--label-column", "label")
    assert run("train", metrics, *flags, OFFBEAT_OUT="scores.csv").exit_code == 0
    assert sorted(path.name for path in metrics.parent.iterdir()) == ["metrics.csv", "model.ckpt"]


@pytest.mark.parametrize("command", ["train", "search"])
@pytest.mark.parametrize("place", ["itself", "symbolic link", "hard link"])
def test_the_checkpoint_never_takes_the_place_of_the_data(command: str, place: str, metrics: Path) -> None:
    out = metrics if place == "itself" else metrics.parent / "out.ckpt"
    if place == "symbolic link":
        out.symlink_to(metrics)
    elif place == "hard link":
        out.hardlink_to(metrics)
    before = metrics.read_bytes()
    error = error_of(run(command, metrics, "--out", out))
    assert isinstance(error, ConfigurationError)
    assert "would overwrite the input" in str(error)
    assert metrics.read_bytes() == before


def test_the_checkpoint_never_takes_the_place_of_the_file_of_flags(metrics: Path) -> None:
    config = metrics.parent / "train.toml"
    config.write_text("epochs = 1\n")
    assert "would overwrite the input" in str(error_of(run("train", metrics, "--config", config, "--out", config)))
    assert config.read_text() == "epochs = 1\n"


@pytest.mark.parametrize("kind", ["pipe", "link to a device", "folder", "link to itself"])
def test_a_checkpoint_is_refused_before_training_where_something_else_than_a_file_is(kind: str, metrics: Path) -> None:
    out = metrics.parent / "out.ckpt"
    if kind == "pipe":
        os.mkfifo(out)
    elif kind == "folder":
        out.mkdir()
    else:
        out.symlink_to("/dev/null" if kind == "link to a device" else out)
    error = error_of(run("train", metrics, "--out", out, "--label-column", "absent, as nobody comes to look"))
    assert isinstance(error, ConfigurationError)
    assert "no regular file" in str(error)


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_missing_package_names_the_extra(command: str, metrics: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heavy = "offbeat_training.fit" if command == "train" else "offbeat_training.evaluation"
    for name in [name for name in sys.modules if name.startswith(heavy)]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("torch", "sklearn.metrics"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.chdir(metrics.parent)
    flags = ("--labels", metrics) if command == "evaluate" else ()
    error = error_of(run(command, metrics, *flags))
    assert isinstance(error, MissingExtraError)
    assert "pip install 'offbeat[training]'" in str(error)


@pytest.fixture
def scores(metrics: Path) -> Path:
    labels = server_metrics(600, n_anomalies=1, anomaly_minutes=60).labels
    assert labels is not None
    lines = ["row,timestamp,reconstruction_error,anomaly_score,is_anomaly"]
    lines += [f"{row},,{error},{error},{int(error > 0.5)}" for row, error in enumerate(np.where(labels, 0.9, 0.1))]
    file = metrics.parent / "scores.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_evaluate_prints_the_figures_beside_those_of_chance(scores: Path, metrics: Path) -> None:
    result = run("evaluate", scores, "--labels", metrics, "--label-column", "label")
    assert result.exit_code == 0, result.output
    for words in ("VUS-PR", "ROC-AUC", "PR-AUC", "best F1", "precision", "recall", "FPR", "range F1", "affil. F1",
                  "TP", "delay", "scores.csv", "random scores", "600 rows", "PCA and an isolation forest need --train"):  # fmt: skip
        assert words in result.output


def test_evaluate_fits_the_baselines_on_the_training_data(scores: Path, metrics: Path) -> None:
    write_csv(server_metrics(900, seed=1), metrics.parent / "train.csv")
    flags = ("--labels", metrics, "--label-column", "label", "--train", metrics.parent / "train.csv", "--seq-len", 20)
    facts = json.loads(run("evaluate", scores, *flags, "--train-label-column", "label", "--json").output)
    assert list(facts["quality"]) == ["scores.csv", "random scores", "PCA", "isolation forest"]
    assert facts["quality"]["PCA"]["roc_auc"] > 0.8
    assert facts["baselines"] == {
        "train": str(metrics.parent / "train.csv"), "data": str(metrics), "seq_len": 20, "explained_variance": 0.9,
        "n_trees": 100,
    }  # fmt: skip
    assert run("evaluate", scores, *flags).output.count("isolation forest") == 3


def test_evaluate_judges_conformal_p_values_given_calibration_errors(scores: Path, metrics: Path) -> None:
    calibration = metrics.parent / "calibration.csv"
    lines = [f"{row},,{row / 1000},0,0" for row in range(199)]
    calibration.write_text("\n".join(["row,timestamp,reconstruction_error,anomaly_score,is_anomaly", *lines]) + "\n")
    flags = ("--labels", metrics, "--label-column", "label", "--calibration", calibration)
    one, five = json.loads(run("evaluate", scores, *flags, "--json").output)["conformal"]
    assert one == {"rate": 0.01, "false_positive_rate": 0.0, "recall": 1.0, "n_calibration": 199}
    assert five["rate"] == 0.05
    assert "conformal p-values of the model" in run("evaluate", scores, *flags).output


def test_baselines_need_the_data_that_were_scored(scores: Path, metrics: Path) -> None:
    write_csv(server_metrics(500), metrics.parent / "other.csv")
    flags = ("--labels", metrics, "--label-column", "label", "--train", metrics, "--data", metrics.parent / "other.csv")
    assert "500 rows by PCA; 600 were scored" in str(error_of(run("evaluate", scores, *flags)))


def test_evaluate_prints_json_for_programs(scores: Path, metrics: Path) -> None:
    result = run("evaluate", scores, "--labels", metrics, "--label-column", "label", "--vus-window", 30, "--json")
    facts = json.loads(result.output)
    assert (facts["unit"], facts["n"], facts["n_anomalous"], facts["vus_window"]) == ("row", 600, 60, 30)
    assert facts["quality"]["scores.csv"]["f1"] == 1.0
    assert facts["quality"]["scores.csv"]["vus_pr"] == pytest.approx(1.0)
    assert facts["quality"]["random scores"]["roc_auc"] == pytest.approx(0.5, abs=0.15)


def test_windows_have_no_vus_pr(scores: Path, metrics: Path) -> None:
    scores.write_text(scores.read_text().replace("row,", "window,"))
    result = run("evaluate", scores, "--labels", metrics, "--label-column", "label", "--json")
    assert json.loads(result.output)["quality"]["scores.csv"]["vus_pr"] is None
    assert "–" in run("evaluate", scores, "--labels", metrics, "--label-column", "label").output


def test_samples_of_a_table_have_nothing_that_needs_an_order_in_time(scores: Path, metrics: Path) -> None:
    scores.write_text(scores.read_text().replace("row,", "sample,"))
    flags = ("--labels", metrics, "--label-column", "label", "--train", metrics, "--train-label-column", "label")
    facts = json.loads(run("evaluate", scores, *flags, "--json").output)
    assert (facts["unit"], facts["vus_window"], facts["baselines"]["seq_len"]) == ("sample", None, 1)
    for quality in facts["quality"].values():
        assert [quality[name] for name in ("vus_pr", "ranges", "affiliation", "delay")] == [None] * 4
        assert 0 <= quality["roc_auc"] <= 1
    assert "600 samples" in run("evaluate", scores, *flags).output


def test_calibration_errors_of_windows_do_not_judge_rows(scores: Path, metrics: Path) -> None:
    calibration = metrics.parent / "calibration.csv"
    calibration.write_text("window,timestamp,reconstruction_error,anomaly_score,is_anomaly\n0,,0.1,0.1,0\n")
    flags = ("--labels", metrics, "--label-column", "label", "--calibration", calibration)
    assert "holds windows; expected rows" in str(error_of(run("evaluate", scores, *flags)))


def test_a_report_never_lands_in_the_model_it_reads(scores: Path, metrics: Path) -> None:
    folder = metrics.parent / "models"
    folder.mkdir()
    flags = ("--labels", metrics, "--label-column", "label", "--model", folder, "--report", folder / "manifest.json")
    assert "another file than those that are read" in str(error_of(run("evaluate", scores, *flags)))


def test_infinite_errors_rank_highest_in_every_figure_and_in_the_report(scores: Path, metrics: Path) -> None:
    scores.write_text(scores.read_text().replace(",0.9,0.9,", ",inf,1,"))
    flags = (
        "--labels",
        metrics,
        "--label-column",
        "label",
        "--calibration",
        scores,
        "--report",
        scores.parent / "r.html",
    )
    result = run("evaluate", scores, *flags, "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.output)["quality"]["scores.csv"]
    assert [facts[name] for name in ("vus_pr", "roc_auc", "pr_auc", "f1")] == pytest.approx([1.0] * 4)
    assert facts["best"]["f1"] == 1.0


def test_labels_of_another_length_are_an_error(scores: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("label\n0\n1\n")
    assert "2 labels" in str(error_of(run("evaluate", scores, "--labels", tmp_path / "labels.csv")))
