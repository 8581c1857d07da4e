from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from offbeat.data import ColumnSelection, read_dataset
from offbeat.errors import ConfigurationError, DataError
from offbeat_training.generators import server_metrics, write_csv
from offbeat_training.generators.server_metrics import MINUTES_PER_DAY
from tests.training.examples import waves


def test_server_metrics_are_percentages_of_cpu_and_memory_by_the_minute() -> None:
    dataset = server_metrics(3000)
    assert dataset.feature_names == ("cpu", "memory")
    assert dataset.values.shape == (3000, 2)
    assert dataset.values.dtype == np.float32
    assert dataset.values.min() >= 0
    assert dataset.values.max() <= 100
    assert dataset.timestamps is not None
    assert list(dataset.timestamps[:2]) == ["2026-01-05T00:00:00", "2026-01-05T00:01:00"]


def test_the_seed_decides_the_noise_and_nothing_else() -> None:
    np.testing.assert_array_equal(server_metrics(500, seed=1).values, server_metrics(500, seed=1).values)
    difference = server_metrics(500, seed=1).values[:, 0] - server_metrics(500, seed=2).values[:, 0]
    assert 1 < difference.std() < 5


def test_cpu_has_a_daily_and_a_weekly_cycle() -> None:
    cpu = server_metrics(14 * MINUTES_PER_DAY).values[:, 0].astype(np.float64)
    power = np.abs(np.fft.rfft(cpu - cpu.mean())) ** 2
    # Fourteen days: the daily cycle is the 14th line of the spectrum, the weekly one the 2nd.
    assert {14, 2} <= set(np.argsort(power)[-3:].tolist())


def test_memory_follows_the_cpu_with_a_lag() -> None:
    cpu, memory = server_metrics(5000).values.astype(np.float64).T
    smooth = np.convolve(cpu, np.ones(30) / 30, mode="valid")
    assert np.corrcoef(smooth, memory[29:])[0, 1] > 0.95


def test_a_test_part_goes_on_where_the_training_part_ended() -> None:
    training, test = server_metrics(5000), server_metrics(100, seed=1, first_minute=5000)
    assert training.timestamps is not None
    assert test.timestamps is not None
    assert np.datetime64(test.timestamps[0]) - np.datetime64(training.timestamps[-1]) == np.timedelta64(1, "m")
    assert abs(training.values[-50:].mean() - test.values[:50].mean()) < 3


@pytest.mark.parametrize("seed", range(5))
def test_anomalous_regions_are_labelled_apart_and_visible(seed: int) -> None:
    dataset = server_metrics(2000, seed=seed, n_anomalies=3, anomaly_minutes=120)
    assert dataset.labels is not None
    assert dataset.labels.sum() == 360
    assert (np.diff(np.flatnonzero(np.diff(dataset.labels.astype(int)))) >= 120).all()
    changed = (dataset.values != server_metrics(2000, seed=seed).values).any(axis=1)
    assert not changed[~dataset.labels].any()
    assert changed[dataset.labels].mean() > 0.9


@pytest.mark.parametrize(
    ("n_anomalies", "anomaly_minutes", "words"),
    [
        (10, 120, "n_anomalies is 10; expected 0 to 2: regions of 120 minutes may take a third of 1000"),
        (1, 334, "n_anomalies is 1; expected 0 to 0: regions of 334 minutes"),
        (-1, 120, "n_anomalies is -1; expected 0 to 2"),
        (1, 0, "anomaly_minutes is 0; expected 1 to"),
    ],
)
def test_anomalies_that_do_not_fit_are_an_error_that_says_how_many_do(
    n_anomalies: int, anomaly_minutes: int, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        server_metrics(1000, n_anomalies=n_anomalies, anomaly_minutes=anomaly_minutes)
    labels = server_metrics(1000, n_anomalies=2).labels
    assert labels is not None
    assert labels.sum() == 240


def test_the_csv_is_read_back_as_it_was(tmp_path: Path) -> None:
    dataset = server_metrics(400, n_anomalies=1)
    write_csv(dataset, tmp_path / "metrics.csv")
    loaded = read_dataset(tmp_path / "metrics.csv", ColumnSelection(label_column="label"))
    assert loaded.feature_names == dataset.feature_names
    np.testing.assert_array_equal(loaded.values, dataset.values)
    assert loaded.timestamps is not None
    assert loaded.timestamps.tolist() == np.asarray(dataset.timestamps).tolist()
    np.testing.assert_array_equal(np.asarray(loaded.labels), np.asarray(dataset.labels))


def test_a_csv_holds_rows_and_needs_a_folder(tmp_path: Path) -> None:
    write_csv(waves(10), tmp_path / "waves.csv")
    assert (tmp_path / "waves.csv").read_text().splitlines()[0] == "feature_0,feature_1"
    with pytest.raises(DataError, match="cannot be written"):
        write_csv(waves(10), tmp_path / "nowhere" / "waves.csv")
