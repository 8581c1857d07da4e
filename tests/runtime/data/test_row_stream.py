"""The same rows from every kind of file, and from pipes of them."""

from __future__ import annotations

import io
import json
import os
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet
import pytest

from offbeat.data import ColumnSelection, read_dataset
from offbeat.data.formats import format_of
from offbeat.data.row_stream import open_rows
from offbeat.data.table import Table
from offbeat.errors import DataError
from tests.runtime.cli.test_score import write_series

SELECTION = ColumnSelection(features=("pressure", "flow"))


def opened(path: Path, content: bytes | None = None) -> list[Table]:
    """All tables of a file, or of a pipe that holds such a file."""
    place = path if content is None else Path("-")
    with open_rows(place, format_of(path), SELECTION, io.BytesIO(content or b"")) as rows:
        return list(rows.tables)


def as_other_kinds(csv_file: Path) -> dict[str, Path]:
    """The same table as Parquet, both kinds of Arrow, and JSON Lines."""
    table = pyarrow.csv.read_csv(csv_file)
    table = table.set_column(0, "timestamp", table.column("timestamp").cast("string"))
    files = {kind: csv_file.with_name(f"data.{kind}") for kind in ("parquet", "arrow", "arrows", "jsonl")}
    pyarrow.parquet.write_table(table, files["parquet"], row_group_size=7)
    with pa.ipc.new_file(files["arrow"], table.schema) as writer:
        writer.write_table(table, max_chunksize=11)
    with pa.ipc.new_stream(files["arrows"], table.schema) as writer:
        writer.write_table(table, max_chunksize=11)
    files["jsonl"].write_text("".join(json.dumps(row) + "\n\n" for row in table.to_pylist()))
    return files


def test_every_kind_of_file_and_pipe_gives_the_rows_that_csv_gives(tmp_path: Path) -> None:
    values = write_series(tmp_path / "data.csv", 59)
    for file in (tmp_path / "data.csv", *as_other_kinds(tmp_path / "data.csv").values()):
        for tables in (opened(file), opened(file, file.read_bytes())):
            np.testing.assert_array_equal(np.concatenate([table.values for table in tables]), values)
            words = np.concatenate([np.asarray(table.timestamps) for table in tables])
            assert (words[0][:19], words[58][:19]) == ("2024-01-01 00:00:00", "2024-01-01 00:58:00")
        dataset = read_dataset(file, SELECTION)
        np.testing.assert_array_equal(dataset.values, values)


def test_an_arrow_file_that_was_cut_between_two_batches_does_not_pass_for_a_whole_one(tmp_path: Path) -> None:
    write_series(tmp_path / "data.csv", 59)
    content = as_other_kinds(tmp_path / "data.csv")["arrow"].read_bytes()
    with pa.ipc.open_file(io.BytesIO(content)) as reader:
        schema, batches = reader.schema, [reader.get_batch(number) for number in range(3)]
    cut = io.BytesIO()
    writer = pa.ipc.new_file(cut, schema)
    for batch in batches:
        writer.write_batch(batch)
    # As its writer leaves it that never comes to the end.
    assert content.startswith(cut.getvalue())
    (tmp_path / "cut.arrow").write_bytes(cut.getvalue())
    for bytes_of_pipe in (None, cut.getvalue()):
        with pytest.raises(DataError, match="ends after 33 rows, without the index at the end of an Arrow file"):
            opened(tmp_path / "cut.arrow", bytes_of_pipe)


def test_a_row_of_json_lines_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"a": 1, "b": 2}\n\n{"a": 3}\n')
    with pytest.raises(DataError, match=r"the first in line 3 \(row 1\), column 'b'"):
        read_dataset(tmp_path / "t.jsonl")
    (tmp_path / "t.jsonl").write_text('{"a": 1, "b": 2}\n{"a": 3, "b": null}\n')
    assert read_dataset(tmp_path / "t.jsonl", ColumnSelection(missing="forward-fill")).values.tolist() == [
        [1, 2],
        [3, 2],
    ]


@pytest.mark.parametrize(
    ("kind", "content", "words"),
    [
        ("jsonl", '{"pressure": 1, "flow": 2}\n{"pressure": 1, "flow"\n', "line 2: "),
        ("jsonl", '{"pressure": 1, "flow": 2}\n[1, 2]\n', "line 2: Expected `object`, got `array`"),
        ("jsonl", '{"pressure": 1, "flow": "2"}\n', "line 1, column 'flow': '2' is no number"),
        ("jsonl", '{"pressure": 1}\n', "no column 'flow'; it has pressure"),
        ("jsonl", "x" * 2_000_000, "line 1 is longer than 1,048,576 bytes"),
        ("csv", "pressure,flow\n1,2\n\n3,x\n", "line 4 (row 1)"),
        ("arrow", "hello, this is no Arrow file", "expected Arrow batches"),
        ("parquet", "hello, this is no Parquet file", "expected a Parquet file"),
        ("json", "{}", "a .json file, which is not read here"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, kind: str, content: str, words: str) -> None:
    (tmp_path / f"data.{kind}").write_text(content)
    with pytest.raises(DataError) as caught:
        opened(tmp_path / f"data.{kind}")
    assert words in str(caught.value)
    assert f"data.{kind}" in str(caught.value)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_named_pipe_is_read_once_and_told_without_lines(tmp_path: Path, kind: str) -> None:
    write_series(tmp_path / "data.csv", 20)
    content = as_other_kinds(tmp_path / "data.csv")["parquet"].read_bytes()
    if kind == "csv":
        content = b"pressure,flow\n1,2\n3,x\n"
    pipe = tmp_path / f"pipe.{kind}"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    if kind == "csv":
        with pytest.raises(DataError, match=r"column 'flow': row 1: CSV conversion error"):
            opened(pipe)
    else:
        assert sum(len(table.values) for table in opened(pipe)) == 20
    writer.join()


def test_what_the_system_says_while_reading_is_said_of_the_file_that_is_read(tmp_path: Path) -> None:
    class Failing(io.BytesIO):
        def readline(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with (
        pytest.raises(DataError, match="standard input: cannot be read: Input/output error"),
        open_rows(Path("-"), "jsonl", SELECTION, Failing()) as rows,
    ):
        next(iter(rows.tables))


def test_a_line_of_names_that_is_too_long_is_not_read_by_half(tmp_path: Path) -> None:
    names = ",".join(f"sensor-{number:05}" for number in range(6000))
    (tmp_path / "wide.csv").write_text(f"{names},pressure,flow\n")
    with pytest.raises(
        DataError, match="the first line has more than 65,536 bytes; expected names or numbers in fewer"
    ):
        opened(tmp_path / "wide.csv")
