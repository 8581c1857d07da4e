from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from offbeat.data import Dataset
from offbeat_training.feature_notes import feature_notes
from offbeat_training.generators import server_metrics, write_csv
from tests.training.commands import run


def dataset(**columns: object) -> Dataset:
    values = np.stack([np.asarray(column, np.float32) for column in columns.values()], axis=1)
    return Dataset(name="x", values=values, feature_names=tuple(columns))


def test_columns_that_vary_are_passed_over() -> None:
    assert feature_notes(dataset(a=[1, 2, 1], b=[0, 0, 1])) == ()
    windows = np.random.default_rng(0).normal(size=(4, 6, 1)).astype(np.float32)
    assert feature_notes(Dataset(name="beats", values=windows, feature_names=("value",))) == ()


def test_columns_that_never_change_are_named_in_one_line() -> None:
    """The second varies in its file, by steps that float32 does not have at that size."""
    assert feature_notes(dataset(a=[5, 5, 5], clock=1e9 + np.arange(3), b=[1, 2, 3])) == (
        "x: 2 of 3 columns never change, as float32: 'a', 'clock'",
    )


def test_spikes_that_are_part_of_the_data_are_passed_over() -> None:
    """The load of an idle machine: next to nothing, and now and then a job."""
    random = np.random.default_rng(0)
    load = random.normal(0.001, 0.00001, 2000)
    load[::100] += random.uniform(0, 0.02, 20)
    assert feature_notes(dataset(load=load)) == ()


def test_a_value_that_stands_for_none_and_would_swamp_the_others_is_told() -> None:
    """The deviation of such a column is that of the one value, beside which all others are the same."""
    random = np.random.default_rng(0)
    cpu, heavy = random.normal(50, 5, 500), random.lognormal(0, 1.5, 500)
    cpu[[7, 9]] = -99999
    (note,) = feature_notes(dataset(cpu=cpu, heavy=heavy))
    assert note.startswith("x: beside -99999 in column 'cpu' its other values are hardly told apart")
    assert note.endswith("So it is in 1 of 2 columns: 'cpu'")
    is_anomaly = cpu < 0
    values = np.stack([cpu, heavy], axis=1).astype(np.float32)
    labelled = Dataset(name="x", values=values, feature_names=("cpu", "heavy"), labels=is_anomaly)
    assert feature_notes(labelled) == ()


@pytest.mark.parametrize(("values", "is_told"), [([0, 1, 0], True), ([-1, 1, 1], True), ([0.5, 1, 0], False)])
def test_a_column_of_labels_that_would_be_learnt_is_told(values: list[float], is_told: bool) -> None:
    notes = feature_notes(dataset(cpu=[1, 2, 3], Anomaly=values))
    assert notes == ("x: column 'Anomaly' is learnt as a feature; where it tells which rows are anomalous, give --label-column Anomaly",) * is_told  # fmt: skip
    labelled = Dataset(
        name="x", values=np.array([[0], [1]], np.float32), feature_names=("label",), labels=np.array([False, True])
    )
    assert feature_notes(labelled) == ()


def test_training_on_a_file_with_labels_says_so_unless_the_flag_names_them(tmp_path: Path) -> None:
    write_csv(server_metrics(400, n_anomalies=1), tmp_path / "metrics.csv")
    flags = ("--seq-len", 8, "--hidden-size", 2, "--epochs", 1, "--device", "cpu", "--out", tmp_path / "m.ckpt")
    told = run("train", tmp_path / "metrics.csv", *flags).stderr
    assert "give --label-column label" in told
    assert "give --label-column" not in run("train", tmp_path / "metrics.csv", "--label-column", "label", *flags).stderr
