"""Files that commands write: whole or not at all, and never over what they read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from offbeat.errors import DataError, require
from offbeat.files import replacing, try_replacing


def check_targets(targets: Mapping[str, Path | None], read: Iterable[Path]) -> None:
    """Before the work, not after: `targets` are files to write by the name of their flag, `read` files and folders.

    Raises ConfigurationError where writing would destroy what is read, or another target, or cannot be.
    """
    sources = [source.resolve() for source in read if source.exists()]
    taken: list[Path] = []
    for field, path in targets.items():
        if path is None:
            continue
        target = _place(path)
        is_read = any(target == source or (source.is_dir() and source in target.parents) for source in sources)
        is_same_file = path.exists() and any(path.samefile(source) for source in sources)
        require(
            not (is_read or is_same_file),
            field,
            str(path),
            "a file that is not read here, as the data and the model are",
        )
        require(target not in taken, field, str(path), "another file than the other one to write")
        require(path.parent.is_dir() and not path.is_dir(), field, str(path), "a file in a folder that exists")
        check_writable(field, path)
        taken.append(target)


def check_writable(field: str, path: Path) -> None:
    """Before the work, not after. Raises ConfigurationError where `write_target` could not begin to write the file."""
    problem = None
    try:
        if not _is_written_through(path):
            try_replacing(_place(path))
    except OSError as error:
        problem = error.strerror
    require(problem is None, field, str(path), f"a file that can be written: {problem}")


def write_target(path: Path, mode: str, write: Callable[[IO[Any]], object]) -> None:
    """Has `write` fill the file, opened with `mode`; what was there stays until all is written.

    A link is followed, and a pipe or a device written to, never replaced. Raises DataError.
    """
    try:
        if _is_written_through(path):
            with path.open(mode) as file:
                write(file)
            return
        with replacing(_place(path), mode) as file:
            write(file)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error


def _place(path: Path) -> Path:
    """Where a file is put: links are followed, and stay. One that leads to itself is left as it is, for the system to refuse."""
    target = Path(os.path.realpath(path))
    return target / path.name if target.is_symlink() else target


def _is_written_through(path: Path) -> bool:
    """A pipe or a device takes what is written, and cannot be replaced by it."""
    return path.exists() and not path.is_file()
