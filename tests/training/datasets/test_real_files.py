"""Every reader on the files as they were published: counts that their authors, or the data's own notes, give."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from offbeat.data import ColumnSelection, describe_sampling, read_dataset
from offbeat_training.datasets import read_closing_prices, read_ecg5000, read_nab, read_skab, read_smd
from tests.training.datasets.shared import SHARED_DATA, needs_shared_data

pytestmark = needs_shared_data


def test_every_series_of_nab_has_the_published_length_and_its_anomalies() -> None:
    folder = SHARED_DATA / "nab"
    with (folder / "published_vus_pr.csv").open() as file:
        published = list(csv.DictReader(file))
    assert len(published) == 7
    for line in published:
        dataset = read_nab(folder / line["nab_file"], folder / "combined_windows.json")
        assert dataset.labels is not None
        # TSB-AD drops the first row of each series, and with it the last label of some.
        assert dataset.n_rows == int(line["length"]) + 1
        assert 0 <= int(dataset.labels.sum()) - int(line["anomaly_points"]) <= 5
        first = int(line["tsbad_file"].split("_1st_")[1].removesuffix(".csv"))
        assert int(dataset.labels.argmax()) == first


@pytest.mark.parametrize("machine", ["machine-1-7", "machine-2-1", "machine-2-8"])
def test_a_machine_of_smd_has_its_anomalies_where_the_interpretation_says(machine: str) -> None:
    folder = SHARED_DATA / "smd"
    parts = read_smd(folder / f"{machine}.npz")
    assert parts.train.labels is None
    assert parts.test.labels is not None
    for line in (folder / f"{machine}_interpretation.txt").read_text().split():
        begin, end = map(int, line.split(":")[0].split("-"))
        assert parts.test.labels[begin:end].all()


def test_the_runs_of_skab_are_read_with_their_irregular_seconds() -> None:
    runs = [read_skab(file) for file in sorted((SHARED_DATA / "skab" / "valve1").glob("*.csv"))]
    assert len(runs) == 16
    for run in runs:
        assert run.labels is not None
        assert run.timestamps is not None
        assert 0.2 < run.labels.mean() < 0.5
        sampling = describe_sampling(run.timestamps)
        assert sampling.median_step == 1
        assert sampling.n_gaps > 10
    free = read_skab(SHARED_DATA / "skab" / "anomaly-free" / "anomaly-free.csv", is_labelled=False)
    assert free.labels is None
    assert free.feature_names == runs[0].feature_names


def test_ecg5000_is_the_same_from_its_text_and_its_npz() -> None:
    text = read_ecg5000(SHARED_DATA / "ecg5000" / "ECG5000_TRAIN.txt")
    selection = ColumnSelection(key="train_x", label_column="train_class", normal_label="1", layout="windows")
    npz = read_dataset(SHARED_DATA / "ecg5000" / "ecg5000.npz", selection)
    assert text.labels is not None
    assert (~text.labels).sum() == 292
    np.testing.assert_allclose(text.values, npz.values, atol=1e-6)
    np.testing.assert_array_equal(text.labels, np.asarray(npz.labels))


@pytest.mark.parametrize("name", ["2_annthyroid", "6_cardio", "25_musk", "32_shuttle", "38_thyroid"])
def test_the_tables_of_adbench_need_no_reader_of_their_own(name: str) -> None:
    dataset = read_dataset(SHARED_DATA / "adbench" / f"{name}.npz", ColumnSelection(key="X", label_column="y"))
    assert dataset.labels is not None
    assert 0.01 < dataset.labels.mean() < 0.15


def test_closing_prices_of_four_years_are_split_at_new_year() -> None:
    prices = read_closing_prices(SHARED_DATA / "sp500" / "close_full_1007.npz")
    assert (len(prices.symbols), len(prices.dates), prices.n_filled) == (479, 1007, 0)
    parts = prices.split_by_date("2017-01-01")
    assert parts.train.timestamps is not None
    assert parts.test.timestamps is not None
    assert (parts.train.timestamps[-1], parts.test.timestamps[0]) == ("2016-12-30", "2017-01-03")
    np.testing.assert_allclose(parts.train.values.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(parts.train.values.std(axis=0), 1, atol=1e-4)


def test_the_windows_file_of_nab_names_the_series_by_folder_and_file() -> None:
    windows = json.loads((SHARED_DATA / "nab" / "combined_windows.json").read_text())
    assert all((SHARED_DATA / "nab" / series).is_file() for series in windows)
