"""Checkpoints and their companions: written whole or not at all, and never over what is no regular file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from offbeat.errors import CheckpointError, ConfigurationError
from offbeat.files import PARTIAL_FILES, replacing


def file_at(path: Path) -> Path:
    """Where writing `path` puts a file: symbolic links are followed, and stay.

    Raises ConfigurationError where something is there that is no regular file: a folder, a device, a pipe.
    """
    target = Path(os.path.realpath(path))
    if os.path.lexists(target) and not target.is_file():
        raise ConfigurationError(f"{path} is there and is no regular file; expected one, or none yet")
    return target


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` when the block ends well; until then, and for ever if the power goes, the old
    one stays. Raises CheckpointError where it cannot be written, ConfigurationError for what is no regular file.
    """
    try:
        with replacing(file_at(path), "wb") as file:
            yield file
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror or error}") from error


def remove_leftovers(folder: Path) -> None:
    """Removes what a process that was killed while it wrote has left."""
    for temporary in folder.glob(PARTIAL_FILES):
        temporary.unlink(missing_ok=True)
