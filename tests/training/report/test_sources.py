from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from offbeat.data import ColumnSelection
from offbeat.errors import DataError
from offbeat_training.evaluation import Comparison, compare, read_scores
from offbeat_training.history import Epoch, write_history
from offbeat_training.report import ReportSources, read_history
from offbeat_training.report.model_facts import read_model_facts
from offbeat_training.report.outputs_file import read_outputs
from offbeat_training.report.sources import read_threshold

NOW = datetime(2024, 5, 6, 7, 8, tzinfo=UTC)
MANIFEST = {
    "name": "metrics", "version": 3, "feature_names": ["cpu", "memory"], "further": {},
    "threshold": {"value": 0.5, "method": "percentile", "percentile": 95.0, "n_windows": 1000},
    "training": {
        "source": {"name": "train.csv", "sha256": None, "n_rows": 5000}, "n_training_windows": 1, "seed": 0,
        "n_validation_windows": 1, "n_epochs": 1, "best_epoch": 1, "best_validation_loss": 0.1,
        "trained_at": "2024-05-05T00:00:00", "torch_version": "2", "offbeat_version": "1",
    },
}  # fmt: skip


@pytest.fixture
def sources(tmp_path: Path) -> ReportSources:
    """Ten rows of two features, the last two anomalous, and a threshold of 0.5."""
    errors = np.array([0.1, 0.2, 0.1, 0.3, 0.1, 0.2, 0.6, 0.1, 2.0, 3.0])
    lines = [f"{i},,{error},{min(error, 1.0)},{int(error > 0.5)}\n" for i, error in enumerate(errors)]
    (tmp_path / "scores.csv").write_text(
        "row,timestamp,reconstruction_error,anomaly_score,is_anomaly\n" + "".join(lines)
    )
    rows = "".join(f"{i},{2 * i},{int(i > 7)}\n" for i in range(10))
    (tmp_path / "test.csv").write_text("memory,cpu,label\n" + rows)
    (tmp_path / "models" / "3").mkdir(parents=True)
    (tmp_path / "models" / "3" / "manifest.json").write_text(json.dumps(MANIFEST))
    (tmp_path / "models" / "12").mkdir()
    (tmp_path / "models" / "12" / "manifest.json").write_text(json.dumps(MANIFEST | {"version": 12}))
    np.savez(
        tmp_path / "outputs.npz",
        feature_error=np.stack([errors / 4, errors * 3 / 4], axis=1),
        reconstruction=np.zeros((10, 2)),
        feature_names=["memory", "cpu"],
    )
    epochs = [
        Epoch(epoch=i, training_loss=1 / i, validation_loss=2 / i, learning_rate=0.1, seconds=1.0) for i in (1, 2)
    ]
    write_history(tmp_path / "history.csv", epochs)
    return ReportSources(
        scores=tmp_path / "scores.csv",
        labels=tmp_path / "test.csv",
        data=tmp_path / "test.csv",
        of_data=ColumnSelection(label_column="label"),
        model=tmp_path / "models",
        outputs=tmp_path / "outputs.npz",
        history=tmp_path / "history.csv",
    )


def comparison(sources: ReportSources) -> Comparison:
    return compare(read_scores(sources.scores), np.arange(10) > 7, {}, 2)


def test_everything_is_read_in_the_order_of_the_models_features(sources: ReportSources) -> None:
    inputs = sources.inputs(comparison(sources), NOW)
    assert inputs.feature_names == ("cpu", "memory")
    assert inputs.values is not None
    assert inputs.values[3].tolist() == [6.0, 3.0]
    assert inputs.feature_error is not None
    np.testing.assert_allclose(inputs.feature_error[9], [2.25, 0.75])
    assert inputs.reconstruction is not None
    assert inputs.history is not None
    assert inputs.threshold == 0.5


def test_the_top_names_model_version_data_threshold_and_date(sources: ReportSources) -> None:
    inputs = sources.inputs(comparison(sources), NOW)
    facts = dict(inputs.facts)
    assert inputs.title == "Anomalies of test.csv"
    assert (facts["model"], facts["version"]) == ("metrics", "12")
    assert facts["threshold"] == "0.5 (percentile 95, of 1,000 windows)"
    assert facts["data"].endswith("test.csv: 10 rows, 2 anomalous")
    assert facts["written"] == "2024-05-06 07:08 UTC"


def test_scores_alone_are_enough_and_tell_their_threshold(sources: ReportSources) -> None:
    alone = msgspec.structs.replace(
        sources, data=None, of_data=ColumnSelection(), model=None, outputs=None, history=None
    )
    inputs = alone.inputs(comparison(sources), NOW)
    assert inputs.threshold == pytest.approx(0.5)
    assert (inputs.values, inputs.feature_error, inputs.reconstruction, inputs.history) == (None,) * 4


def test_data_whose_lines_were_not_scored_line_by_line_are_not_drawn(sources: ReportSources) -> None:
    assert sources.data is not None
    with sources.data.open("a") as file:
        file.write("10,20,0\n")
    inputs = msgspec.structs.replace(sources, outputs=None).inputs(comparison(sources), NOW)
    assert inputs.values is None


def test_one_versions_folder_may_be_named(sources: ReportSources) -> None:
    assert sources.model is not None
    assert read_model_facts(sources.model / "3").version == 3


def test_scores_that_are_all_clipped_tell_no_threshold(tmp_path: Path) -> None:
    text = "row,timestamp,reconstruction_error,anomaly_score,is_anomaly\n0,,0,0,0\n1,,9,1,1\n"
    (tmp_path / "scores.csv").write_text(text)
    assert read_threshold(tmp_path / "scores.csv") is None


def test_a_history_without_epochs_counts_its_lines(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text("loss,rate\n3,1\n2,1\n")
    history = read_history(tmp_path / "history.csv")
    assert history.epochs.tolist() == [1.0, 2.0]
    assert list(history.losses) == ["loss"]


def test_the_history_of_a_run_is_read_back(sources: ReportSources) -> None:
    assert sources.history is not None
    history = read_history(sources.history)
    assert history.epochs.tolist() == [1.0, 2.0]
    assert history.losses["validation_loss"].tolist() == [2.0, 1.0]
    assert set(history.losses) == {"training_loss", "validation_loss"}


@pytest.mark.parametrize("text", [None, "", "[]", '{"name": 5}', "{" * 1000])
def test_a_folder_that_is_no_models_is_an_error_naming_it(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=r"manifest\.json"):
        read_model_facts(tmp_path)


def test_files_that_do_not_hold_what_is_needed_are_errors_naming_them(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.savez(tmp_path / "narrow.npz", feature_error=np.zeros((3, 1)))
    (tmp_path / "history.csv").write_text("a,b\n1,2\n")
    for name in ("text.npz", "other.npz", "narrow.npz", "absent.npz"):
        with pytest.raises(DataError, match=name):
            read_outputs(tmp_path / name, ("cpu", "memory"))
    with pytest.raises(DataError, match="'loss'"):
        read_history(tmp_path / "history.csv")
