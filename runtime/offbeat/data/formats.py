"""Kinds of files, told by their endings."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from offbeat.errors import DataError

TableFormat = Literal["csv", "parquet", "arrow", "jsonl"]
Format = Literal["csv", "parquet", "arrow", "jsonl", "npz"]
_BY_SUFFIX: dict[str, Format] = {
    ".npz": "npz",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".ipc": "arrow",
    ".feather": "arrow",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}

# What would be read as csv otherwise, and be called damaged in some cell of it.
_UNREAD = (
    ".json",
    ".gz",
    ".bz2",
    ".xz",
    ".zst",
    ".zip",
    ".xls",
    ".xlsx",
    ".h5",
    ".npy",
    ".mat",
    ".pkl",
)


def format_of(path: Path) -> Format:
    """What the ending says; whatever has no ending of its own is csv."""
    return _BY_SUFFIX.get(path.suffix.lower(), "csv")


def is_text(path: Path) -> bool:
    """Whether a row of the file is a line of it."""
    return format_of(path) in ("csv", "jsonl")


def refuse_unread(path: Path) -> None:
    """Raises DataError for a file that its ending calls something else than what is read here."""
    if path.suffix.lower() in _UNREAD:
        raise DataError(
            f"{path}: a {path.suffix} file, which is not read here; expected csv, JSON Lines, npz, Parquet or Arrow"
        )
