"""The columns of a file by their names, and one of them as words, whatever is in the others: labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from offbeat.data.csv_head import read_head
from offbeat.data.formats import Format, format_of
from offbeat.data.json_lines import read_objects, words_of_objects
from offbeat.data.row_stream import ArrowBatches
from offbeat.data.table import is_timestamp, pyarrow_module, timestamp_samples, typed_csv, words_of_column
from offbeat.errors import DataError
from offbeat.telling import listed


def read_words(file: Path, name: str | None, delimiter: str | None) -> NDArray[np.str_]:
    """One column of a csv, JSON Lines, Parquet or Arrow file; where none is named, the only one beside time stamps.

    Raises DataError.
    """
    format_ = format_of(file)
    if format_ == "csv":
        head = read_head(file, delimiter)
        chosen = _chosen(file, name, head.names, head.samples)
        return words_of_column(typed_csv(file, head, {chosen: "string"}).column(chosen))
    with file.open("rb") as stream:
        return _json_words(file, stream, name) if format_ == "jsonl" else _arrow_words(file, stream, name, format_)


def column_names(file: Path) -> list[str]:
    """The columns of a csv, JSON Lines, Parquet or Arrow file, in order; of JSON Lines, those of the first. Raises DataError."""
    format_ = format_of(file)
    if format_ == "csv":
        return read_head(file, None).names
    with file.open("rb") as stream:
        if format_ == "jsonl":
            return list(next(read_objects(str(file), stream), (1, {}))[1])
        try:
            if format_ == "parquet":
                return list(pyarrow_module("parquet").ParquetFile(stream).schema_arrow.names)
            return list(ArrowBatches(str(file), stream).schema.names)
        except (pyarrow_module().ArrowException, OSError) as error:
            raise DataError(f"{file}: {error}") from error


def _json_words(file: Path, stream: BinaryIO, name: str | None) -> NDArray[np.str_]:
    rows = [row for _, row in read_objects(str(file), stream)]
    if not rows:
        raise DataError(f"{file}: no rows; expected at least one")
    samples = {key: str(value) for key, value in rows[0].items()}
    return words_of_objects(rows, _chosen(file, name, list(rows[0]), samples))


def _arrow_words(file: Path, stream: BinaryIO, name: str | None, format_: Format) -> NDArray[np.str_]:
    try:
        if format_ == "parquet":
            parquet = pyarrow_module("parquet").ParquetFile(stream)
            chosen = _chosen_of(file, name, parquet.schema_arrow)
            table = parquet.read(columns=[chosen], use_threads=False)
        else:
            batches = ArrowBatches(str(file), stream)
            chosen = _chosen_of(file, name, batches.schema)
            table = pyarrow_module().Table.from_batches(batches, batches.schema)
        return words_of_column(table.column(chosen))
    except (pyarrow_module().ArrowException, OSError) as error:
        raise DataError(f"{file}: {error}") from error


def _chosen_of(file: Path, name: str | None, schema: Any) -> str:
    return _chosen(file, name, schema.names, timestamp_samples(schema))


def _chosen(file: Path, name: str | None, names: list[str], samples: dict[str, str]) -> str:
    candidates = [each for each in names if not is_timestamp(each, samples.get(each, ""))] if name is None else [name]
    if len(candidates) != 1 or names.count(candidates[0]) != 1:
        expected = "the name of one of them that holds the labels" if name is None else f"one column {name!r}"
        raise DataError(f"{file}: columns {listed(names)}; expected {expected}")
    return candidates[0]
