"""Lines and rows that clients send, before any of them is scored."""

from __future__ import annotations

import contextlib

import pytest

from offbeat.cli.listen_lines import LineCutter
from offbeat.cli.listen_rows import RowFormat, RowReader
from offbeat.errors import DataError

FEATURES = ("pressure", "flow")


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_lines_are_whole_whatever_pieces_they_come_in(size: int) -> None:
    content, cutter = b"one\r\n\ntwo\nthree", LineCutter()
    lines = [line for begin in range(0, len(content), size) for line in cutter.add(content[begin : begin + size])]
    assert [*lines, *cutter.end()] == [(1, b"one"), (2, b""), (3, b"two"), (4, b"three")]


def test_a_line_without_an_end_is_given_up_and_does_not_stay_in_memory() -> None:
    cutter = LineCutter()
    for _ in range(50):
        assert list(cutter.add(b"x" * 100_000)) == []
        assert len(cutter._begin) <= 2**20
    assert list(cutter.add(b"\nnext\n")) == [(1, None), (2, b"next")]


def test_columns_are_taken_by_name_in_any_order_and_delimiter() -> None:
    reader = RowReader(RowFormat(feature_names=FEATURES, series_column="pump", timestamp_column="time"))
    assert reader.read(b"\xef\xbb\xbftime;flow;pump;pressure") is None
    row = reader.read(b"noon;2;left;1")
    assert row is not None
    assert (row.values, row.series, row.timestamp) == ([1.0, 2.0], "left", "noon")
    assert reader.read(b"pressure,flow,pump,time") is None
    row = reader.read(b'"1",2,"a,b",noon')
    assert row is not None
    assert (row.values, row.series) == ([1.0, 2.0], "a,b")
    row = reader.read(b'{"pressure": 3, "flow": 4, "pump": 17}')
    assert row is not None
    assert (row.values, row.series, row.timestamp) == ([3.0, 4.0], "17", None)


def test_rows_that_look_like_the_numbers_of_their_columns_are_rows() -> None:
    # Features of a csv file without names are called by their places.
    reader = RowReader(RowFormat(feature_names=("0", "1")))
    read = [reader.read(line) for line in (b"0,1", b"1,0", b"7,8")]
    assert [row and row.values for row in read] == [[0.0, 1.0], [1.0, 0.0], [7.0, 8.0]]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([b"flow,level"], "'flow,level' names no column 'pressure'; expected pressure, flow"),
        ([b"flow,level", b"1,2"], "no line of column names before it; expected one with pressure, flow"),
        ([b"flow,pressure,flow"], "columns flow, pressure, flow; expected 'flow' once"),
        ([b"flow,pressure,flow", b"1,2,3"], "no line of column names before it"),
        ([b"1,2", b"1,2,3"], "3 cells; expected 2: pressure, flow"),
        ([b"1,2", b"1,x"], "column 'flow': could not convert string to float: 'x'"),
        ([b"1,2", b"1,"], "column 'flow' is missing; expected a number, or --missing forward-fill"),
        ([b"1,2", b"1,nan"], "column 'flow' is missing"),
        ([b"1,2", b"1,NULL"], "column 'flow' is missing"),
        ([b"1,1e300"], "column 'flow' is infinite, or beyond float32"),
        ([b'{"pressure": 1}'], "column 'flow' is missing"),
        ([b'{"pressure": 1, "flow": "2"}'], "'2' is no number"),
        ([b'{"pressure": 1, '], "expected a JSON object of one row"),
        ([b"\xff\xfe\x00junk"], "not UTF-8 at byte 0"),
    ],
)
def test_a_line_that_is_no_row_says_why(lines: list[bytes], words: str) -> None:
    reader = RowReader(RowFormat(feature_names=FEATURES))
    for line in lines[:-1]:
        with contextlib.suppress(DataError):
            reader.read(line)
    with pytest.raises(DataError) as caught:
        reader.read(lines[-1])
    assert words in str(caught.value)
