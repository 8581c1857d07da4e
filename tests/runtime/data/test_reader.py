from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from offbeat.data import ColumnSelection, npz_archive, read_dataset
from offbeat.errors import ConfigurationError, DataError


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_of_any_delimiter_with_a_timestamp_and_labels(tmp_path: Path, delimiter: str) -> None:
    text = "timestamp,cpu,memory,label\n2024-01-01 00:00:00,1,2.5,0\n2024-01-01 00:01:00,3,4,1\n"
    file = write(tmp_path / "metrics.csv", text.replace(",", delimiter))
    dataset = read_dataset(file, ColumnSelection(label_column="label"))
    assert dataset.feature_names == ("cpu", "memory")
    np.testing.assert_array_equal(dataset.values, np.array([[1, 2.5], [3, 4]], np.float32))
    assert dataset.timestamps is not None
    assert list(dataset.timestamps) == ["2024-01-01 00:00:00", "2024-01-01 00:01:00"]
    assert dataset.labels is not None
    assert list(dataset.labels) == [False, True]


def test_columns_are_chosen_by_name_in_the_order_given(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", "a,b,c\n1,2,x\n3,4,y\n")
    dataset = read_dataset(file, ColumnSelection(features=("b", "a")))
    np.testing.assert_array_equal(dataset.values, [[2, 1], [4, 3]])


def test_csv_without_a_header_names_its_columns_by_number(tmp_path: Path) -> None:
    dataset = read_dataset(write(tmp_path / "t.csv", "1,2\n3,4\n"))
    assert dataset.feature_names == ("0", "1")
    assert dataset.n_rows == 2


def test_a_first_line_that_only_numbers_the_columns_is_no_data(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", "0,0,1\nnormal,0.5,0.25\nhigh,1,2\n")
    selection = ColumnSelection(label_column="0", normal_label="normal", layout="windows")
    dataset = read_dataset(file, selection)
    assert dataset.values[:, :, 0].tolist() == [[0.5, 0.25], [1, 2]]
    assert np.asarray(dataset.labels).tolist() == [False, True]


@pytest.mark.parametrize("gap", ["", "NA", "nan"])
def test_a_gap_under_a_number_makes_the_first_line_no_header(tmp_path: Path, gap: str) -> None:
    file = write(tmp_path / "t.csv", f"1,2\n{gap},4\n")
    dataset = read_dataset(file, ColumnSelection(missing="forward-fill"))
    assert dataset.values.tolist() == [[1, 2], [1, 4]]


@pytest.mark.parametrize("name", ["when", "ds"])
def test_a_timestamp_column_is_recognised_by_its_first_value(tmp_path: Path, name: str) -> None:
    dataset = read_dataset(write(tmp_path / "t.csv", f"{name},v\n2024-01-01T00:00:00,1\n2024-01-02T00:00:00,2\n"))
    assert dataset.feature_names == ("v",)


def test_quotes_and_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(b'\xef\xbb\xbf"a","b"\r\n"1","2"\r\n')
    assert read_dataset(file).feature_names == ("a", "b")


@pytest.mark.parametrize(
    ("text", "selection", "message"),
    [
        ("a,b\n1,2\n", ColumnSelection(features=("c",)), "no column 'c'; it has a, b"),
        ("a,b\n1,2\n", ColumnSelection(label_column="anomaly"), "no column 'anomaly'"),
        ("a,b\n1,\n", ColumnSelection(), r"line 2 \(row 0\), column 'b'"),
        ("a\n1\n2\nnan\n", ColumnSelection(), r"line 4 \(row 2\), column 'a'"),
        ("a\n1\ninf\n", ColumnSelection(), r"line 3 \(row 1\), column 'a'"),
        ("a\n1\n1e300\n", ColumnSelection(), r"line 3 \(row 1\), column 'a'"),
        ("a,b\n1,hello\n", ColumnSelection(), "hello"),
        ("a,b\n1,2\n3\n", ColumnSelection(), "Expected 2 columns, got 1"),
        ("a,b\n", ColumnSelection(), r"shape \(0, 2\)"),
        ("", ColumnSelection(), "empty"),
        ("a,a\n1,2\n", ColumnSelection(), "distinct names"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, text: str, selection: ColumnSelection, message: str) -> None:
    file = write(tmp_path / "t.csv", text)
    with pytest.raises(DataError, match=message) as caught:
        read_dataset(file, selection)
    assert "t.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("größe,b\n1,2\n".encode("latin-1"), "not UTF-8 at byte 2"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-8"),
        (b"\na,b\n1,2\n", "first line is blank"),
        (b",cpu\n0,1\n1,2\n", "a column without a name"),
        (b'a,b\n"1,464.0",2\n', r"column 'a': line 2 \(row 0\): CSV conversion error"),
    ],
)
def test_a_file_that_is_not_what_it_seems_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_dataset(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("time stamp,cpu load avg,mem used by all\n1,2,3\n4,5,6\n", ("time stamp", "cpu load avg", "mem used by all")),
        ("cpu load\n1\n2\n", ("cpu load",)),
        ("a b\n1 2\n3 4\n", ("a", "b")),
        ("a;b,c\n1;2\n3;4\n", ("a", "b,c")),
    ],
)
def test_the_delimiter_is_the_one_that_fits_every_line(tmp_path: Path, text: str, names: tuple[str, ...]) -> None:
    assert read_dataset(write(tmp_path / "t.csv", text)).feature_names == names


def test_a_tab_may_be_spelt_and_other_words_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", "a\tb\n1\t2\n")
    assert read_dataset(file, ColumnSelection(delimiter="\\t")).feature_names == ("a", "b")
    with pytest.raises(ConfigurationError, match="delimiter is ',,'"):
        read_dataset(file, ColumnSelection(delimiter=",,"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.csv: no such file"):
        read_dataset(tmp_path / "absent.csv")


def test_what_is_no_file_is_called_what_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, words in ((tmp_path, "a folder"), (tmp_path / "pipe", "a pipe or a device"), ("-", "standard input")):
        with pytest.raises(DataError, match=f"{path}: {words}.*; expected a file"):
            read_dataset(path)


def test_parquet_gives_the_same_as_csv(tmp_path: Path) -> None:
    when = np.array(["2024-01-01T00:00:00", "2024-01-01T00:01:00"], "datetime64[ms]")
    table = pa.table({"time_of_day": when, "cpu": [1.0, 2.0], "memory": [3, 4], "is_bad": [False, True]})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    dataset = read_dataset(tmp_path / "t.parquet", ColumnSelection(label_column="is_bad"))
    assert dataset.feature_names == ("cpu", "memory")
    np.testing.assert_array_equal(dataset.values, [[1, 3], [2, 4]])
    assert dataset.timestamps is not None
    assert dataset.timestamps[0].startswith("2024-01-01 00:00:00")
    assert dataset.labels is not None
    assert list(dataset.labels) == [False, True]


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(DataError, match=r"t\.parquet"):
        read_dataset(tmp_path / "t.parquet")


def test_npz_arrays_are_chosen_by_key(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", train=np.ones((3, 4)), train_class=np.array([1, 2, 1]), test=np.zeros((2, 4)))
    selection = ColumnSelection(key="train", label_column="train_class", normal_label="1", layout="windows")
    dataset = read_dataset(tmp_path / "t.npz", selection)
    assert dataset.values.shape == (3, 4, 1)
    assert dataset.labels is not None
    assert list(dataset.labels) == [False, True, False]
    with pytest.raises(DataError, match="holds train, train_class, test; name one"):
        read_dataset(tmp_path / "t.npz")


def test_npz_without_names_takes_the_wanted_ones_and_checks_their_number(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.ones((3, 2)))
    assert read_dataset(tmp_path / "t.npz", ColumnSelection(features=("cpu", "memory"))).feature_names == (
        "cpu",
        "memory",
    )
    with pytest.raises(DataError, match="2 features; expected 1"):
        read_dataset(tmp_path / "t.npz", ColumnSelection(features=("cpu",)))


@pytest.mark.parametrize("shape", ["(1000000000, 1000000000)", "(100000000000, 5)", "(2, 5)"])
def test_npz_with_a_header_that_promises_more_than_there_is_is_refused(tmp_path: Path, shape: str) -> None:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
    with pytest.raises(DataError, match=r"t\.npz: not a readable npz archive"):
        read_dataset(tmp_path / "t.npz")


def test_npz_that_unpacks_to_far_more_than_it_is_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npz_archive, "_MAX_UNPACKED_BYTES", 1000)
    np.savez_compressed(tmp_path / "t.npz", x=np.zeros((100_000, 2)))
    with pytest.raises(DataError, match=r"t\.npz: .* bytes that unpack to 1,6"):
        read_dataset(tmp_path / "t.npz")


def test_npz_with_a_pickle_inside_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.array([object()], dtype=object))
    with pytest.raises(DataError, match="not a readable npz"):
        read_dataset(tmp_path / "t.npz")


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.npz").write_bytes(b"hello")
    with pytest.raises(DataError, match="not a readable npz"):
        read_dataset(tmp_path / "t.npz")


@pytest.mark.parametrize("content", [b"PK\x03\x04 nothing", b"PK\x05\x06", b"\x93NUMPY", b""])
def test_a_damaged_archive_is_refused_and_left_closed(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"t\.npz: not a readable npz"):
        read_dataset(tmp_path / "t.npz")


def test_one_array_that_was_saved_alone_is_no_archive(tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", np.ones(3))
    (tmp_path / "t.npy").rename(tmp_path / "t.npz")
    with pytest.raises(DataError, match=r"t\.npz: not a readable npz"):
        read_dataset(tmp_path / "t.npz")


@pytest.mark.parametrize("name", ["t.json", "t.csv.gz", "t.XLSX", "t.npy"])
def test_a_file_of_a_kind_that_is_not_read_is_called_that_and_not_damaged(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b'{"a": 1}\n')
    with pytest.raises(
        DataError, match=r"a \.\w+ file, which is not read here; expected csv, JSON Lines, npz, Parquet or Arrow"
    ):
        read_dataset(tmp_path / name)


def test_a_heading_alone_is_no_data(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n")
    with pytest.raises(DataError, match="expected at least one row and one feature"):
        read_dataset(tmp_path / "t.csv")
