"""Arrays of an npz archive as a table."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from offbeat.data.column_selection import ColumnSelection
from offbeat.data.table import Table
from offbeat.errors import DataError
from offbeat.result import FloatArray
from offbeat.telling import listed

_NAMES = "feature_names"
# What may be unpacked from a small file, and how many times its size from a larger one.
_MAX_UNPACKED_BYTES = 2**30
_MAX_RATIO = 100
# A shape that no memory holds is among them: numpy believes a header.
_DAMAGE = (
    ValueError,
    OSError,
    EOFError,
    KeyError,
    TypeError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_npz(file: Path, selection: ColumnSelection) -> Table:
    """The array `key`, the only one where none is named, with its labels, time stamps and `feature_names`.

    Values are [row, feature] or [window, time, feature]. An array without stored names takes the wanted ones in order; one
    with names gives the wanted ones out of them. Raises DataError, naming the file and the array.
    """
    with _opened(file) as archive:
        key = _choose_key(file, archive.files, selection)
        values = _numbers(file, key, archive[key])
        labels = _words(file, archive, selection.label_column)
        classes = _words(file, archive, selection.class_column)
        timestamps = _words(file, archive, selection.timestamp_column)
        names = tuple(map(str, archive[_NAMES])) if _NAMES in archive.files else ()
    if selection.layout == "windows" and values.ndim == 2:
        values, names = values[:, :, None], ("value",)
    names, values = _choose_features(file, names, values, selection.features)
    return Table(values=values, feature_names=names, timestamps=timestamps, labels=labels, classes=classes)


def read_npz_words(file: Path, key: str | None) -> NDArray[np.str_]:
    """The array `key`, the only one where none is named, flat and as words. Raises DataError, naming the file."""
    with _opened(file) as archive:
        words = _words(file, archive, key or _choose_key(file, archive.files, ColumnSelection()))
    return np.empty(0, np.str_) if words is None else words


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """The archive, whose arrays are read when they are asked for. Raises DataError, for what is read inside too."""
    try:
        # An open file, because numpy leaves one that it opened open where it is no archive.
        with file.open("rb") as stream:
            _refuse_bomb(stream)
            with np.load(stream, allow_pickle=False) as archive:
                yield archive
    except _DAMAGE as error:
        raise DataError(f"{file}: not a readable npz archive: {error}") from error


def _refuse_bomb(stream: BinaryIO) -> None:
    """Raises ValueError for an archive that unpacks to far more than numbers are ever packed into."""
    with zipfile.ZipFile(stream) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    packed = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    if unpacked > max(_MAX_UNPACKED_BYTES, _MAX_RATIO * packed):
        raise ValueError(f"{packed:,} bytes that unpack to {unpacked:,}")


def _choose_key(file: Path, keys: Sequence[str], selection: ColumnSelection) -> str:
    if selection.key is not None:
        if selection.key not in keys:
            raise DataError(f"{file}: no array {selection.key!r}; it holds {', '.join(keys)}")
        return selection.key
    others = (selection.label_column, selection.class_column, selection.timestamp_column, _NAMES)
    candidates = [key for key in keys if key not in others]
    if len(candidates) != 1:
        raise DataError(f"{file}: holds {', '.join(keys) or 'nothing'}; name one of them as the key")
    return candidates[0]


def _numbers(file: Path, key: str, array: NDArray[np.generic]) -> FloatArray:
    if array.dtype.kind not in "fiub" or array.ndim not in (1, 2, 3):
        raise DataError(
            f"{file}: {key} is {array.dtype} {array.shape}; expected numbers [row, feature] or [window, time, feature]"
        )
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array.reshape(-1, 1) if array.ndim == 1 else array, dtype=np.float32)


def _words(file: Path, archive: np.lib.npyio.NpzFile, key: str | None) -> NDArray[np.str_] | None:
    if key is None:
        return None
    if key not in archive.files:
        raise DataError(f"{file}: no array {key!r}; it holds {', '.join(archive.files)}")
    return np.asarray(archive[key].ravel().astype(np.str_))


def _choose_features(
    file: Path, names: tuple[str, ...], values: FloatArray, wanted: tuple[str, ...]
) -> tuple[tuple[str, ...], FloatArray]:
    if not names:
        names = wanted or tuple(f"feature_{index}" for index in range(values.shape[-1]))
    if len(names) != values.shape[-1]:
        raise DataError(f"{file}: {values.shape[-1]} features; expected {len(names)}: {listed(names)}")
    if absent := [name for name in wanted if name not in names]:
        raise DataError(f"{file}: no feature {listed(absent)}; it has {listed(names)}")
    if not wanted or wanted == names:
        return names, values
    return wanted, np.ascontiguousarray(values[..., [names.index(name) for name in wanted]])
