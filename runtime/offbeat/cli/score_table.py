"""The files that `offbeat score` writes, and `offbeat evaluate` reads."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.bulk import Scores
from offbeat.bulk.arrow_scores import ArrowWriter
from offbeat.data.formats import TableFormat
from offbeat.data.table import pyarrow_module
from offbeat.errors import DataError
from offbeat.targets import write_target


def write_scores(parts: Iterable[Scores], path: Path | None, to: TableFormat, standard_output: BinaryIO) -> None:
    """Writes a file as the parts come, and puts it in its place when it is whole; to `standard_output` without a path.

    Raises DataError, MissingExtraError, and what the parts raise: then there is no file, or the one that was there.
    """
    if path is not None:
        write_target(path, "wb", lambda file: _write(parts, to, file))
        return
    try:
        _write(parts, to, standard_output)
    except BrokenPipeError:
        raise
    except OSError as error:
        # What could not be written is still there, and Python would try once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), standard_output.fileno())
        raise DataError(f"standard output: cannot be written: {error.strerror}") from error


def _write(parts: Iterable[Scores], to: TableFormat, file: IO[bytes]) -> None:
    with _WRITERS[to](file) as writer:
        for scores in parts:
            writer.write(scores)
    file.flush()


class _Writer(Protocol):
    def write(self, scores: Scores) -> None: ...


class _CsvWriter:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._has_heading = False

    def write(self, scores: Scores) -> None:
        # Without time stamps their column is empty: readers of the file find the others where they were.
        columns = {scores.unit: None, "timestamp": np.full(scores.n_lines, "")} | scores.columns
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not self._has_heading:
            writer.writerow(columns)
            self._has_heading = True
        writer.writerows(zip(*(_cells(column) for column in columns.values() if column is not None), strict=True))
        self._file.write(text.getvalue().encode())


def _cells(column: NDArray[Any]) -> list[Any]:
    if column.dtype.kind != "f":
        return list((column.astype(np.int8) if column.dtype == np.bool_ else column).tolist())
    cells: list[Any] = list(map("%.9g".__mod__, column.tolist()))
    for line in np.flatnonzero(np.isnan(column)).tolist():
        cells[line] = ""
    return cells


class _JsonLinesWriter:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._encoder = msgspec.json.Encoder()

    def write(self, scores: Scores) -> None:
        names = tuple(scores.columns)
        lines = zip(*(column.tolist() for column in scores.columns.values()), strict=True)
        # NaN is written as null, and so is an infinite error: its anomaly_score is 1, that of a line without an error null.
        self._file.write(self._encoder.encode_lines([dict(zip(names, line, strict=True)) for line in lines]))


@contextmanager
def _csv(file: IO[bytes]) -> Iterator[_Writer]:
    yield _CsvWriter(file)


@contextmanager
def _json_lines(file: IO[bytes]) -> Iterator[_Writer]:
    yield _JsonLinesWriter(file)


@contextmanager
def _parquet(file: IO[bytes]) -> Iterator[_Writer]:
    with _whole(ArrowWriter(lambda schema: pyarrow_module("parquet").ParquetWriter(file, schema))) as writer:
        yield writer


@contextmanager
def _arrow(file: IO[bytes]) -> Iterator[_Writer]:
    """Arrow's stream into a pipe; its file, which may be read from any place, where there is an end to go to."""
    ipc = pyarrow_module("ipc")
    with _whole(
        ArrowWriter(lambda schema: (ipc.new_file if file.seekable() else ipc.new_stream)(file, schema))
    ) as writer:
        yield writer


@contextmanager
def _whole(writer: ArrowWriter) -> Iterator[ArrowWriter]:
    try:
        yield writer
        writer.close()
    except BaseException:
        writer.abandon()
        raise


_WRITERS: dict[TableFormat, Any] = {"csv": _csv, "jsonl": _json_lines, "parquet": _parquet, "arrow": _arrow}
