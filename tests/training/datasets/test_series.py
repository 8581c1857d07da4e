from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from offbeat.data import Dataset
from offbeat.errors import DataError
from offbeat_training.datasets import TrainTest, read_nab, read_skab, read_smd, read_tsb_ad, read_ucr, split_rows
from offbeat_training.datasets.skab import SENSORS

WINDOWS = '{"real/taxi.csv": [["2024-01-01 00:01:00.000000", "2024-01-01 00:02:00.000000"]]}'
SKAB_HEADER = ";".join(["datetime", *SENSORS, "anomaly", "changepoint"])


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def labelled(dataset: Dataset) -> list[int]:
    assert dataset.labels is not None
    return np.flatnonzero(dataset.labels).tolist()


def skab_line(second: int, anomaly: str = "0.0", changepoint: str = "0.0") -> str:
    return f"2024-01-01 00:00:{second:02};" + ";".join(str(second + n) for n in range(8)) + f";{anomaly};{changepoint}"


def write_smd(folder: Path, test_rows: int = 4, labels: str = "0\n1\n1\n0\n") -> Path:
    row = ",".join(["0.5"] * 38) + "\n"
    for part, text in {"train": row * 3, "test": row * test_rows, "test_label": labels}.items():
        write(folder / part / "machine-1-1.txt", text)
    return folder


def test_nab_labels_both_ends_of_its_windows_and_finds_the_series_by_its_path(tmp_path: Path) -> None:
    text = "timestamp,value\n" + "".join(f"2024-01-01 00:0{minute}:00,{minute}\n" for minute in range(4))
    file, windows = write(tmp_path / "real" / "taxi.csv", text), write(tmp_path / "w.json", WINDOWS)
    dataset = read_nab(file, windows)
    assert labelled(dataset) == [1, 2]
    assert dataset.values[:, 0].tolist() == [0, 1, 2, 3]
    assert dataset.timestamps is not None
    assert dataset.timestamps[3] == "2024-01-01 00:03:00"
    moved = write(tmp_path / "taxi.csv", text)
    assert labelled(read_nab(moved, windows, "real/taxi.csv")) == [1, 2]
    with pytest.raises(DataError, match=r"w\.json: no series"):
        read_nab(moved, windows)


def test_nab_refuses_other_columns(tmp_path: Path) -> None:
    file, windows = write(tmp_path / "real" / "taxi.csv", "when,value\n1,2\n"), write(tmp_path / "w.json", WINDOWS)
    with pytest.raises(DataError, match=r"taxi\.csv: no column 'timestamp'"):
        read_nab(file, windows)


def test_skab_gives_its_sensors_and_the_labels_asked_for(tmp_path: Path) -> None:
    lines = [SKAB_HEADER, skab_line(1), skab_line(2, "1.0", "1.0"), skab_line(4, "1.0")]
    file = write(tmp_path / "0.csv", "\n".join(lines) + "\n")
    dataset = read_skab(file)
    assert dataset.feature_names == SENSORS
    assert dataset.values[1].tolist() == [2, 3, 4, 5, 6, 7, 8, 9]
    assert labelled(dataset) == [1, 2]
    assert labelled(read_skab(file, label="changepoint")) == [1]
    assert read_skab(file, is_labelled=False).labels is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (skab_line(2, "0.5"), r"line 3 \(row 1\), column 'anomaly' is 0\.5; expected 0 or 1"),
        (skab_line(2, "0", "2"), r"line 3 \(row 1\), column 'changepoint' is 2"),
        (skab_line(2, ""), r"line 3 \(row 1\), column 'anomaly'"),
        (skab_line(2, "yes"), "yes"),
        ("2024-01-01 00:00:02;1;2", "Expected 11 columns"),
    ],
)
def test_skab_refuses_what_it_does_not_know(line: str, message: str, tmp_path: Path) -> None:
    file = write(tmp_path / "0.csv", "\n".join([SKAB_HEADER, skab_line(1), line]) + "\n")
    with pytest.raises(DataError, match=message) as caught:
        read_skab(file)
    assert "0.csv" in str(caught.value)


def test_a_run_of_skab_without_labels_must_be_said_to_have_none(tmp_path: Path) -> None:
    file = write(tmp_path / "free.csv", "datetime;" + ";".join(SENSORS) + "\n" + "2024-01-01;1;2;3;4;5;6;7;8\n")
    assert read_skab(file, is_labelled=False).labels is None
    with pytest.raises(DataError, match="no column 'anomaly'"):
        read_skab(file)


def test_smd_is_the_same_from_its_text_and_from_an_npz(tmp_path: Path) -> None:
    from_text = read_smd(write_smd(tmp_path), "machine-1-1")
    arrays = {"train": np.full((3, 38), 0.5), "test": np.full((4, 38), 0.5), "test_label": np.array([0, 1, 1, 0])}
    np.savez(tmp_path / "machine-1-1.npz", **arrays)
    from_npz = read_smd(tmp_path / "machine-1-1.npz")
    for parts in (from_text, from_npz):
        assert parts.train.labels is None
        assert labelled(parts.test) == [1, 2]
        assert parts.test.feature_names[0] == "dimension_1"
    np.testing.assert_array_equal(from_text.train.values, from_npz.train.values)
    assert from_npz.test.sha256 is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": "0\n1\n2\n0\n"}, r"line 3 \(row 2\), column 'test_label' is 2; expected 0 or 1"),
        ({"labels": "0\n1\n"}, r"labels have shape \(2, 1\); expected one for each of 4 rows"),
        ({"test_rows": 0}, r"test/machine-1-1\.txt: empty"),
    ],
)
def test_smd_refuses_labels_that_do_not_fit(change: dict[str, object], message: str, tmp_path: Path) -> None:
    write_smd(tmp_path, **change)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=message):
        read_smd(tmp_path, "machine-1-1")


def test_smd_refuses_another_number_of_metrics_and_names_missing_files(tmp_path: Path) -> None:
    write(write_smd(tmp_path) / "train" / "machine-1-1.txt", "1,2,3\n")
    with pytest.raises(DataError, match=r"train/machine-1-1\.txt: 3 columns; expected 38"):
        read_smd(tmp_path, "machine-1-1")
    with pytest.raises(DataError, match=r"machine-9-9\.txt: cannot be read"):
        read_smd(tmp_path, "machine-9-9")
    with pytest.raises(DataError, match=r"none\.npz: no such file"):
        read_smd(tmp_path / "none.npz")


@pytest.mark.parametrize("separator", ["\n", "  "])
def test_ucr_counts_from_one_and_includes_both_ends(separator: str, tmp_path: Path) -> None:
    text = separator.join(f"{value:.1e}" for value in range(1, 21)) + "\n"
    parts = read_ucr(write(tmp_path / "001_UCR_Anomaly_toy_8_12_14.txt", text))
    assert parts.train.values[:, 0].tolist() == list(range(1, 9))
    assert parts.test.values[0, 0] == 9
    assert parts.test.values[labelled(parts.test), 0].tolist() == [12, 13, 14]
    assert labelled(parts.train) == []


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("toy.txt", "1\n2\n", "expected a name of the form"),
        ("toy_8_12_x.txt", "1\n2\n", "expected a name of the form"),
        ("toy_2_3_9.txt", "1\n2\n3\n4\n", "anomaly 3 to 9, and 4 values"),
        ("toy_3_3_4.txt", "1\n2\n3\n4\n", "expected an anomaly after the train end"),
        ("toy_0_3_4.txt", "1\n2\n3\n4\n", "named train end 0"),
        ("toy_1_3_4.txt", "1 2\n3 4\n", "2 lines of 2 columns; expected one series"),
        ("toy_1_3_4.txt", "1\n2\nthree\n4\n", "line 3, column 1 is 'three'; expected a finite number"),
        ("toy_1_3_4.txt", "1\nnan\n3\n4\n", "line 2, column 1 is 'nan'"),
        ("toy_1_3_4.txt", "1\n\n2\n3 4\n", "line 4 has 2 columns; expected 1"),
        ("toy_1_3_4.txt", " \n", "empty"),
    ],
)
def test_ucr_refuses_what_does_not_fit_its_name(name: str, text: str, message: str, tmp_path: Path) -> None:
    file = write(tmp_path / name, text)
    with pytest.raises(DataError, match=message) as caught:
        read_ucr(file)
    assert name in str(caught.value)


def test_tsb_ad_learns_from_the_prefix_and_judges_the_whole_series(tmp_path: Path) -> None:
    rows = "".join(f"{row},{-row},{int(row in (3, 6))}\n" for row in range(8))
    parts = read_tsb_ad(write(tmp_path / "001_Toy_id_1_Sensor_tr_4_1st_3.csv", "a,b,Label\n" + rows))
    assert parts.train.values.shape == (4, 2)
    assert parts.test.values.shape == (8, 2)
    assert (labelled(parts.train), labelled(parts.test)) == ([3], [3, 6])
    assert parts.test.feature_names == ("a", "b")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("toy.csv", "a,Label\n1,0\n", "expected a name of the form"),
        ("t_tr_1_1st_1.csv", "a,label\n1,0\n2,1\n", "expected values and, last, Label"),
        ("t_tr_1_1st_1.csv", "Label\n0\n1\n", "expected values and, last, Label"),
        ("t_tr_1_1st_1.csv", "a,Label\n1,0\n2,3\n", r"line 3 \(row 1\), column 'Label' is 3"),
        ("t_tr_1_1st_0.csv", "a,Label\n1,0\n2,1\n", "first anomaly is in row 1; expected 0"),
        ("t_tr_1_1st_0.csv", "a,Label\n1,0\n2,0\n", "first anomaly is in row None"),
        ("t_tr_2_1st_1.csv", "a,Label\n1,0\n2,1\n", "2 rows to learn from; expected 1 to 1"),
    ],
)
def test_tsb_ad_refuses_what_does_not_fit_its_name(name: str, text: str, message: str, tmp_path: Path) -> None:
    file = write(tmp_path / name, text)
    with pytest.raises(DataError, match=message) as caught:
        read_tsb_ad(file)
    assert name in str(caught.value)


def test_rows_are_split_with_their_time_stamps_and_labels() -> None:
    stamps, labels = np.array(["a", "b", "c"]), np.array([False, False, True])
    values = np.arange(3, dtype=np.float32)[:, None]
    dataset = Dataset(name="t", values=values, feature_names=("v",), timestamps=stamps, labels=labels)
    parts = split_rows(dataset, 2)
    assert (np.asarray(parts.train.timestamps).tolist(), np.asarray(parts.test.timestamps).tolist()) == (
        ["a", "b"],
        ["c"],
    )
    assert (labelled(parts.train), labelled(parts.test)) == ([], [0])
    with pytest.raises(DataError, match="3 rows to learn from; expected 1 to 2"):
        split_rows(dataset, 3)


def test_parts_of_different_features_make_no_pair() -> None:
    one, two = (
        Dataset(name=name, values=np.zeros((2, 1), np.float32), feature_names=(name,)) for name in ("one", "two")
    )
    with pytest.raises(DataError, match="expected the same features"):
        TrainTest(train=one, test=two)
