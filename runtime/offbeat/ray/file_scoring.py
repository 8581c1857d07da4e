"""Scores one Parquet file of a folder into a file of the same name; knows nothing of Ray."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np

from offbeat.bulk import BulkOptions, LocalSource, RowScoring
from offbeat.bulk.arrow_scores import ArrowWriter
from offbeat.bundle import Manifest, ModelVersion
from offbeat.config import BackendConfig
from offbeat.data import ColumnSelection
from offbeat.data.row_stream import RowStream, open_rows
from offbeat.data.table import Table, pyarrow_module
from offbeat.errors import DataError, OffbeatError
from offbeat.files import replacing
from offbeat.scorer import Scorer

_STAMP = b"offbeat.stamp"


class FolderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The files of `data` are scored into `out` by the model version folder `model`: paths that every worker has."""

    data: str
    out: str
    model: str
    selection: ColumnSelection
    options: BulkOptions
    backend: BackendConfig


class FileOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file called `name`: its rows and what was found, whether an output of an earlier run was kept, or why not."""

    name: str
    n_rows: int = 0
    n_anomalies: int = 0
    n_unscored: int = 0
    is_kept: bool = False
    error: str | None = None


class _Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """What an output was made from, and what is told of it; kept in the output's own metadata."""

    size: int
    mtime_ns: int
    request: str
    n_rows: int = 0
    n_anomalies: int = 0
    n_unscored: int = 0


def score_file(request: FolderRequest, name: str) -> FileOutcome:
    """Scores the file, unless its output is there already and was made from the same. Never raises OffbeatError.

    The output appears whole or not at all, so that this may be done again, or twice at once, without harm. It has a line for
    each row, or for each window, as the options say; a series that is shorter than a window has lines without a score.
    """
    try:
        return _score_file(request, name)
    except OffbeatError as error:
        return FileOutcome(name=name, error=str(error))
    except OSError as error:
        return FileOutcome(name=name, error=f"{name}: {error.strerror or error}")


def series_of(request: FolderRequest, name: str) -> tuple[str, ...] | DataError:
    """The series of a file, by the column that names them, or what is wrong with it."""
    path, column = Path(request.data, name), request.selection.series_column
    try:
        file = pyarrow_module("parquet").ParquetFile(path)
        found: set[str] = set()
        for batch in file.iter_batches(columns=[column], use_threads=False):
            found.update(map(str, batch.column(0).unique().to_pylist()))
    except (pyarrow_module().ArrowException, OSError, IndexError) as error:
        return DataError(f"{path}: column {column!r}: {error}; expected a Parquet file with that column")
    return tuple(sorted(found))


def _score_file(request: FolderRequest, name: str) -> FileOutcome:
    source, target = Path(request.data, name), Path(request.out, name)
    scorer = _scorer(request.model, request.backend)
    stamp = _stamp_of(source, request, scorer.manifest)
    if (kept := _kept(target, stamp)) is not None:
        return FileOutcome(
            name=name, n_rows=kept.n_rows, n_anomalies=kept.n_anomalies, n_unscored=kept.n_unscored, is_kept=True
        )
    with open_rows(source, "parquet", request.selection) as rows:
        if rows.n_rows == 0:
            return FileOutcome(name=name)
        is_series = scorer.manifest.window is not None
        if is_series and request.selection.series_column is None:
            rows = _as_series(rows, Path(name).with_suffix("").as_posix())
        scoring = RowScoring(LocalSource(scorer), rows, request.options, has_series=is_series)
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target, "wb") as file:
            _write(scoring, file, stamp)
            _check(source, request, scoring, stamp, scorer.manifest)
    return FileOutcome(name=name, n_rows=scoring.n_rows, n_anomalies=scoring.n_anomalies, n_unscored=scoring.n_unscored)


@lru_cache(maxsize=1)
def _scorer(model: str, config: BackendConfig) -> Scorer:
    """A worker is given file after file, and loads the model once."""
    return Scorer.open(ModelVersion.open(Path(model)), config)


def _stamp_of(source: Path, request: FolderRequest, manifest: Manifest) -> _Stamp:
    try:
        status = source.stat()
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error.strerror}") from error
    # The manifest holds the sum of every file of the model. Which engine computes does not matter to what is in the output.
    wanted = manifest.to_json(), msgspec.json.encode((request.selection, request.options))
    digest = hashlib.sha256(b"\0".join(part if isinstance(part, bytes) else part.encode() for part in wanted))
    return _Stamp(size=status.st_size, mtime_ns=status.st_mtime_ns, request=digest.hexdigest())


def _kept(target: Path, stamp: _Stamp) -> _Stamp | None:
    """The stamp of an output that was made from the same as would be made now."""
    try:
        metadata = pyarrow_module("parquet").read_metadata(target).metadata or {}
        found = msgspec.json.decode(metadata.get(_STAMP, b""), type=_Stamp)
    except (pyarrow_module().ArrowException, OSError, msgspec.DecodeError):
        return None
    made_from = (found.size, found.mtime_ns, found.request)
    return found if made_from == (stamp.size, stamp.mtime_ns, stamp.request) else None


def _as_series(rows: RowStream, series: str) -> RowStream:
    """The rows, named as one series: where it is shorter than a window its rows have lines all the same."""

    def named() -> Iterator[Table]:
        for table in rows.tables:
            yield msgspec.structs.replace(table, series=np.full(len(table.values), series))

    return msgspec.structs.replace(rows, tables=named())


def _write(scoring: RowScoring, file: IO[bytes], stamp: _Stamp) -> None:
    def opened(schema: Any) -> _Stamped:
        return _Stamped(pyarrow_module("parquet").ParquetWriter(file, schema), scoring, stamp)

    writer = ArrowWriter(opened)
    for scores in scoring:
        writer.write(scores)
    writer.close()


class _Stamped:
    """A Parquet file that is given its stamp at the end, when all is counted."""

    def __init__(self, writer: Any, scoring: RowScoring, stamp: _Stamp) -> None:
        self.write_table = writer.write_table
        self._writer = writer
        self._scoring = scoring
        self._stamp = stamp

    def close(self) -> None:
        """Ends the file."""
        counted = msgspec.structs.replace(
            self._stamp,
            n_rows=self._scoring.n_rows,
            n_anomalies=self._scoring.n_anomalies,
            n_unscored=self._scoring.n_unscored,
        )
        self._writer.add_key_value_metadata({_STAMP: msgspec.json.encode(counted)})
        self._writer.close()


def _check(source: Path, request: FolderRequest, scoring: RowScoring, stamp: _Stamp, manifest: Manifest) -> None:
    """Raises DataError before the output takes its place: rows without a line, or other rows than those it is stamped with."""
    if _stamp_of(source, request, manifest) != stamp:
        raise DataError(f"{source}: changed while it was read; expected it to stay as it is until it is scored")
    if not scoring.n_lines:
        raise DataError(f"{source}: no series is as long as a window; expected one, or a line for each row")
    is_by_row = manifest.window is None or request.options.per == "row"
    if is_by_row and scoring.n_lines != scoring.n_rows:
        raise DataError(f"{source}: {scoring.n_lines} lines for {scoring.n_rows} rows; expected one for each")
