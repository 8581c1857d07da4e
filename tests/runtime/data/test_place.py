from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from offbeat.data import ColumnSelection, read_dataset
from offbeat.data.place import place_of
from offbeat.errors import DataError


@pytest.mark.parametrize(
    ("text", "row", "expected"),
    [
        ("a,b\n1,2\n3,4\n", 0, "line 2 (row 0)"),
        ("a,b\n1,2\n3,4\n", 1, "line 3 (row 1)"),
        ("1,2\n3,4\n", 1, "line 2 (row 1)"),
        ("a,b\n1,2\n\n\n3,4\n", 1, "line 5 (row 1)"),
        ("a,b\r\n1,2\r\n\r\n3,4\r\n", 1, "line 4 (row 1)"),
        ("a;b\n1;2\n", 0, "line 2 (row 0)"),
        ("a,b\n1,2\n", 7, "row 7"),
    ],
)
def test_a_row_of_a_text_file_is_told_with_its_line(tmp_path: Path, text: str, row: int, expected: str) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode())
    assert place_of(tmp_path / "t.csv", row) == expected


@pytest.mark.parametrize("name", ["t.npz", "t.parquet", "t.pq"])
def test_a_row_of_another_file_has_no_line(name: str) -> None:
    assert place_of(Path(name), 3, noun="window") == "window 3"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n\n3,x\n", r"column 'b': line 4 \(row 1\): .*invalid value 'x'"),
        ("1,2\n3,4\n5,x\n", r"column '1': line 3 \(row 2\): .*invalid value 'x'"),
        ("a,b\n1,2\n\n3,4,5\n", r"line 4 \(row 1\): Expected 2 columns, got 3"),
        ("a,b\n1,2\n\n3,inf\n", r"1 infinite value\(s\), the first in line 4 \(row 1\), column 'b'; expected finite"),
        ("a,b\n1,2\n\n3,\n", r"1 missing value\(s\), the first in line 4 \(row 1\), column 'b'"),
    ],
)
def test_every_complaint_of_a_csv_file_names_the_line_that_an_editor_shows(
    tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        read_dataset(tmp_path / "t.csv")


def test_lines_of_windows_are_windows_and_their_columns_steps(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("1,2,3\n4,,6\n")
    with pytest.raises(DataError, match=r"the first in line 2 \(window 1\), step 1, column 'value'"):
        read_dataset(tmp_path / "t.csv", ColumnSelection(layout="windows"))


def test_an_array_counts_from_zero_too(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.array([[1.0, 2.0], [3.0, np.inf]]))
    with pytest.raises(DataError, match=r"the first in row 1, column 'feature_1'"):
        read_dataset(tmp_path / "t.npz")
