"""Files that commands write: whole or not at all, and never over what they read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from offbeat.errors import DataError, require
from offbeat.files import replacing


def check_target(field: str, path: Path | None, source: Path) -> None:
    """Before the work, not after. Raises ConfigurationError where writing would destroy the input, or has no folder."""
    if path is None:
        return
    is_source = path.exists() and source.exists() and path.samefile(source)
    require(not is_source, field, str(path), "another file than the data")
    require(path.parent.is_dir() and not path.is_dir(), field, str(path), "a file in a folder that exists")


def write_target(path: Path, mode: str, write: Callable[[IO[Any]], None]) -> None:
    """Has `write` fill the file, opened with `mode`; what was there stays until all is written.

    A link is followed, and a pipe or a device written to, never replaced. Raises DataError.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open(mode) as file:
                write(file)
            return
        with replacing(path.resolve(), mode) as file:
            write(file)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error
