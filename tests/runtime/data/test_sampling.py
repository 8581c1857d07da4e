from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from offbeat.data import ColumnSelection, Dataset, data_notes, describe_sampling, read_dataset
from offbeat.errors import DataError


def at_seconds(*seconds: float) -> np.ndarray:
    start = np.datetime64("2024-03-01T00:00:00", "us")
    return np.datetime_as_string(start + np.array([round(s * 1e6) for s in seconds], dtype="timedelta64[us]"))


def test_even_steps_are_regular() -> None:
    sampling = describe_sampling(at_seconds(*range(0, 600, 60)))
    assert sampling.is_regular
    assert (sampling.median_step, sampling.unit, sampling.n_rows) == (60, "s", 10)
    assert sampling.summary() == "median step 60 s"


def test_gaps_are_counted_and_the_largest_is_placed() -> None:
    sampling = describe_sampling(at_seconds(0, 1, 2, 4, 5, 6, 23, 24))
    assert (sampling.n_gaps, sampling.largest_gap, sampling.largest_gap_row) == (2, 17, 5)
    assert "2 gaps, the largest 17 s after row 5" in sampling.summary()


def test_duplicates_and_rows_out_of_order_are_counted() -> None:
    sampling = describe_sampling(at_seconds(0, 1, 1, 2, 1.5, 2, 3))
    assert (sampling.n_duplicates, sampling.n_out_of_order) == (2, 1)
    assert "2 duplicate time stamps, 1 row out of order" in sampling.summary()


def test_a_jitter_of_one_percent_is_forgiven_and_more_is_uneven() -> None:
    assert describe_sampling(at_seconds(0, 1, 2.005, 3)).is_regular
    sampling = describe_sampling(at_seconds(0, 1, 2.3, 3, 4, 5))
    assert (sampling.n_gaps, sampling.n_uneven) == (0, 2)
    assert not sampling.is_regular


def test_time_zones_are_told_apart() -> None:
    sampling = describe_sampling(
        np.array(["2024-01-01T00:00:00Z", "2024-01-01T02:00:00+01:00", "2024-01-01T02:00:00Z"])
    )
    assert sampling.is_regular
    assert sampling.median_step == 3600


def test_times_in_utc_are_read_like_times_without_a_zone() -> None:
    naive = at_seconds(0, 1, 2, 5)
    in_utc = np.char.add(naive, "Z")
    assert describe_sampling(in_utc) == describe_sampling(naive)


def test_plain_numbers_have_no_unit() -> None:
    sampling = describe_sampling(np.array(["0", "0.5", "1.0", "7"]))
    assert (sampling.unit, sampling.n_gaps) == ("", 1)
    assert sampling.summary() == "median step 0.5, 1 gap, the largest 6 after row 2"


@pytest.mark.parametrize("n_rows", [0, 1])
def test_what_has_no_step_is_regular(n_rows: int) -> None:
    assert describe_sampling(at_seconds(*range(n_rows))).is_regular


def test_one_time_for_all_rows_is_all_duplicates() -> None:
    sampling = describe_sampling(at_seconds(5, 5, 5))
    assert (sampling.n_duplicates, sampling.n_gaps, sampling.median_step) == (2, 0, 0)


@pytest.mark.parametrize(
    ("timestamps", "row"),
    [
        (["2024-01-01", "yesterday"], 1),
        (["2024-01-01", ""], 1),
        (["1", "2", "nan"], 0),
        (["2024-01-01T00:00", "2024-01-01T00:01Z"], 1),
        (["2024-01-01T00:00Z", "2024-01-01T00:01"], 1),
    ],
)
def test_a_time_stamp_that_is_none_is_named(timestamps: list[str], row: int) -> None:
    with pytest.raises(DataError, match=f"row {row}: time stamp"):
        describe_sampling(np.array(timestamps))


def test_irregular_and_unreadable_time_stamps_are_noted_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("time,v\n2024-01-01,1\n2024-01-02,2\n2024-01-05,3\n")
    dataset = read_dataset(file)
    assert np.asarray(dataset.timestamps).tolist() == ["2024-01-01", "2024-01-02", "2024-01-05"]
    assert data_notes(dataset) == ("t.csv: irregular sampling: median step 172800 s, 2 uneven steps",)
    hostile = msgspec.structs.replace(dataset, name="t\x1b[31m.csv", n_filled=1)
    assert all(note.startswith(r"t\x1b[31m.csv: ") for note in data_notes(hostile))
    file.write_text("time,v\nMonday,1\nTuesday,2\n")
    (note,) = data_notes(read_dataset(file))
    assert "sampling unknown: row 0: time stamp 'Monday'" in note


def test_time_stamps_of_an_npz_are_kept(tmp_path: Path) -> None:
    when = np.array(["2024-01-01", "2024-01-02"], dtype="datetime64[D]")
    np.savez(tmp_path / "t.npz", x=np.ones((2, 1)), when=when)
    dataset = read_dataset(tmp_path / "t.npz", ColumnSelection(timestamp_column="when"))
    assert np.asarray(dataset.timestamps).tolist() == ["2024-01-01", "2024-01-02"]
    with pytest.raises(DataError, match="no array 'then'"):
        read_dataset(tmp_path / "t.npz", ColumnSelection(key="x", timestamp_column="then"))


def test_the_time_stamps_of_ready_made_windows_are_not_judged() -> None:
    windows = np.ones((3, 4, 1), dtype=np.float32)
    stamps = np.array(["2024-01-01", "2024-01-01", "2024-05-01"])
    assert data_notes(Dataset(name="w", values=windows, feature_names=("v",), timestamps=stamps)) == ()


def test_windows_of_a_csv_are_found_by_the_name_that_models_give_them(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("1,2,3\n4,5,6\n")
    dataset = read_dataset(tmp_path / "t.csv", ColumnSelection(features=("value",), layout="windows"))
    assert dataset.values.shape == (2, 3, 1)
