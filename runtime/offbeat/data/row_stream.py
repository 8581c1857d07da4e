"""Rows of a file, of standard input or of a frame, a batch at a time: no more of them in memory than that."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from offbeat.data.column_selection import ColumnSelection
from offbeat.data.csv_head import HEAD_BYTES, head_of
from offbeat.data.dataset import Dataset
from offbeat.data.formats import Format, refuse_unread
from offbeat.data.json_lines import stream_json_lines
from offbeat.data.pipe import open_pipe
from offbeat.data.place import place_of
from offbeat.data.table import (
    Columns,
    Table,
    csv_columns,
    csv_error,
    csv_options,
    gather,
    pyarrow_module,
    resolved,
    timestamp_samples,
)
from offbeat.errors import DataError

# Rows of a batch from a Parquet file; and the most of an Arrow batch that become numbers at once.
_ROWS_AT_ONCE = 65_536
# Rows of a table from memory: there they cost nothing to take, and every row may become a window of many.
_ROWS_OF_MEMORY = 4096
_ARROW_FILE_MAGIC = b"ARROW1\0\0"
_ARROW_FILE_END = b"ARROW1"


class RowStream(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """`tables` of rows in order, [row, feature] each, to be taken once; `place` tells where a row is, for messages.

    `name` is what messages call the source; `n_rows` is None where nobody knows beforehand. Where rows are ready-made windows,
    `is_windows`, tables are [window, time, feature]. Taking a table raises DataError.
    """

    name: str
    tables: Iterable[Table]
    place: Callable[[int], str] = "row {}".format
    n_rows: int | None = None
    is_windows: bool = False


def rows_of_dataset(dataset: Dataset) -> RowStream:
    """The rows, or ready-made windows, of a data set in memory; its labels and classes are left out."""

    def tables() -> Iterator[Table]:
        for begin in range(0, dataset.n_rows, _ROWS_OF_MEMORY):
            part = slice(begin, begin + _ROWS_OF_MEMORY)
            yield Table(
                values=dataset.values[part],
                feature_names=dataset.feature_names,
                timestamps=None if dataset.timestamps is None else dataset.timestamps[part],
                labels=None,
            )

    return RowStream(name=dataset.name, tables=tables(), n_rows=dataset.n_rows, is_windows=dataset.values.ndim == 3)


@contextmanager
def open_rows(
    path: Path, format_: Format, selection: ColumnSelection, standard_input: BinaryIO | None = None
) -> Iterator[RowStream]:
    """The rows of a file or a named pipe, or of `standard_input`, this process's own, where the path is `-`. Labels and classes are
    not read.

    Missing values stay NaN, whatever the selection's policy. Raises DataError, MissingExtraError.
    """
    is_standard = path == Path("-")
    name = "standard input" if is_standard else str(path)
    is_pipe = is_standard or path.is_fifo()
    if not is_pipe and not path.is_file():
        raise DataError(f"{path}: {'a folder; expected a file' if path.is_dir() else 'no such file'}")
    refuse_unread(path)
    with ExitStack() as opened:
        with _told(name):
            file = standard_input
            if file is None or not is_standard:
                file = opened.enter_context(open_pipe(None if is_standard else path) if is_pipe else path.open("rb"))
            if is_pipe and format_ == "parquet":
                file = opened.enter_context(_spooled(file))
        rows = _rows(name, None if is_pipe else path, file, format_, _columns(selection), selection.delimiter)
        yield msgspec.structs.replace(rows, tables=_telling(name, rows.tables))


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Raises DataError for what the system says of a file, so that nobody takes it for another file's."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{name}: cannot be read: {error.strerror or error}") from error


def _telling(name: str, tables: Iterable[Table]) -> Iterator[Table]:
    remaining = iter(tables)
    while True:
        with _told(name):
            table = next(remaining, None)
        if table is None:
            return
        yield table


def rows_of_frame(frame: Any, selection: ColumnSelection) -> RowStream:
    """The rows of anything with `__arrow_c_stream__`: tables of pyarrow, frames of pandas and polars. Raises DataError."""
    if not hasattr(frame, "__arrow_c_stream__"):
        raise DataError(
            f"a {type(frame).__name__} has no __arrow_c_stream__; expected an Arrow table, or a frame of pandas or polars"
        )
    name = f"the {type(frame).__name__}"
    try:
        reader = pyarrow_module().RecordBatchReader.from_stream(frame)
    except (ValueError, TypeError) as error:
        # pyarrow's own errors are such, too.
        raise DataError(f"{name}: {error}; expected columns of numbers with a name of their own each") from error
    return RowStream(name=name, tables=_arrow_tables(name, lambda: reader, _columns(selection)))


def _columns(selection: ColumnSelection) -> Columns:
    return Columns(
        features=selection.features, timestamp=selection.timestamp_column, label=None, series=selection.series_column
    )


def read_stream(file: Path, format_: Format, columns: Columns) -> Table:
    """All rows of such a file. Raises DataError."""
    with file.open("rb") as stream:
        parts = list(_rows(str(file), file, stream, format_, columns, None).tables)
    if not parts:
        raise DataError(f"{file}: no rows; expected at least one")
    words = {field: [getattr(part, field) for part in parts] for field in columns.word_fields}
    joined = {field: None if of_parts[0] is None else np.concatenate(of_parts) for field, of_parts in words.items()}
    return Table(values=np.concatenate([part.values for part in parts]), feature_names=parts[0].feature_names, **joined)


def _rows(
    name: str, path: Path | None, file: Any, format_: Format, columns: Columns, delimiter: str | None
) -> RowStream:
    place = "row {}".format if path is None else lambda row: place_of(path, row, delimiter)
    if format_ == "jsonl":
        return RowStream(name=name, tables=stream_json_lines(name, file, columns), place=place)
    if format_ == "arrow":
        return RowStream(name=name, tables=_arrow_tables(name, lambda: ArrowBatches(name, file), columns))
    if format_ == "parquet":
        return _parquet(name, file, columns)
    return RowStream(name=name, tables=_csv_tables(name, file, columns, delimiter, place), place=place)


def _csv_tables(
    name: str, file: BinaryIO, columns: Columns, delimiter: str | None, place: Callable[[int], str]
) -> Iterator[Table]:
    content = file.read(HEAD_BYTES)
    head = head_of(name, content, delimiter)
    chosen, types = csv_columns(name, head, columns)
    try:
        yield from (
            _gathered(batch, chosen)
            for batch in pyarrow_module("csv").open_csv(_Rejoined(content, file), **csv_options(head, types))
        )
    except pyarrow_module().ArrowException as error:
        raise csv_error(name, error, head, place) from error


def _parquet(name: str, file: BinaryIO, columns: Columns) -> RowStream:
    try:
        # Without a buffer of its own size a reader takes a whole column of a row group at once.
        parquet = pyarrow_module("parquet").ParquetFile(file, buffer_size=HEAD_BYTES, pre_buffer=False)
    except (pyarrow_module().ArrowException, OSError) as error:
        raise DataError(f"{name}: {error}; expected a Parquet file") from error
    chosen = resolved(name, columns, parquet.schema_arrow.names, timestamp_samples(parquet.schema_arrow))

    def tables() -> Iterator[Table]:
        names = [*chosen.features, *chosen.words]
        try:
            for batch in parquet.iter_batches(_ROWS_AT_ONCE, columns=names, use_threads=False):
                yield _gathered(batch, chosen)
        except (pyarrow_module().ArrowException, OSError) as error:
            raise DataError(f"{name}: {error}; expected numbers, or other columns chosen by name") from error

    return RowStream(name=name, tables=tables(), n_rows=parquet.metadata.num_rows)


class ArrowBatches:
    """A stream of Arrow batches; a file of them is such a stream between a word and an index.

    Iterating raises DataError for a file that ends without its index: between two batches it would pass for a whole one.
    """

    def __init__(self, name: str, file: Any) -> None:
        begin = file.read(len(_ARROW_FILE_MAGIC))
        self._name = name
        self._file = file
        self._is_file = begin == _ARROW_FILE_MAGIC
        self._batches = pyarrow_module("ipc").open_stream(file if self._is_file else _Rejoined(begin, file))
        self.schema = self._batches.schema

    def __iter__(self) -> Iterator[Any]:
        n_rows = 0
        for batch in self._batches:
            n_rows += batch.num_rows
            yield batch
        if self._is_file and not self._file.read().endswith(_ARROW_FILE_END):
            raise DataError(
                f"{self._name}: ends after {n_rows:,} rows, without the index at the end of an Arrow file; expected all of it"
            )


def _arrow_tables(name: str, open_reader: Callable[[], Any], columns: Columns) -> Iterator[Table]:
    try:
        reader = open_reader()
        chosen = resolved(name, columns, reader.schema.names, timestamp_samples(reader.schema))
        for batch in reader:
            for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
                yield _gathered(batch.slice(start, _ROWS_AT_ONCE), chosen)
    except (pyarrow_module().ArrowException, OSError) as error:
        raise DataError(f"{name}: {error}; expected Arrow batches, of numbers in the columns chosen") from error


def _gathered(batch: Any, columns: Columns) -> Table:
    return gather(pyarrow_module().Table.from_batches([batch]), columns)


class _Rejoined(io.RawIOBase):
    """A stream with the bytes back at its beginning that were read from there."""

    def __init__(self, begin: bytes, rest: BinaryIO) -> None:
        super().__init__()
        self._begin = begin
        self._rest = rest

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes."""
        if self._begin and size >= 0:
            part, self._begin = self._begin[:size], self._begin[size:]
            return part
        part, self._begin = self._begin, b""
        return part + self._rest.read(size)


@contextmanager
def _spooled(stream: BinaryIO) -> Iterator[BinaryIO]:
    """The stream as a file on disk that has no name: a Parquet file is read from its end."""
    with tempfile.TemporaryFile() as file:
        shutil.copyfileobj(stream, file, 2**20)
        file.seek(0)
        yield file
