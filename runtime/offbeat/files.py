"""Files that are written whole or not at all, and files that are read without trusting what is there."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

# What a file is called while it is being written: hidden, beside its place, and of one writer. Machines that share a folder may
# have the same process ids.
PARTIAL_FILES = ".*.part"


@contextlib.contextmanager
def replacing(path: Path, mode: str) -> Iterator[IO[Any]]:
    """A file, opened with `mode`, that takes the place of `path` when the block ends well.

    Until then, and for ever if the power goes, what was there stays. Raises OSError where it cannot be written.
    """
    partial = _partial(path)
    try:
        with partial.open(mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def try_replacing(path: Path) -> None:
    """Raises OSError where `replacing` could not begin, as for a folder in which no file can be made; nothing is left of the trial."""
    partial = _partial(path)
    partial.open("xb").close()
    partial.unlink()


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")


def open_regular(path: Path, *, follows_links: bool) -> BinaryIO:
    """A regular file, opened for reading; never a device, or a pipe that would block until somebody writes to it.

    Raises OSError, also for a symbolic link unless those are followed.
    """

    def opener(name: str, flags: int) -> int:
        try:
            descriptor = os.open(name, flags | os.O_NONBLOCK | (0 if follows_links else os.O_NOFOLLOW))
        except OSError as error:
            # What the system says of a link that it was told not to follow is "Too many levels of symbolic links".
            if error.errno == errno.ELOOP and not follows_links and path.is_symlink():
                raise OSError(errno.ELOOP, "a symbolic link") from error
            raise
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            os.close(descriptor)
            code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
            raise OSError(code, os.strerror(code) if stat.S_ISDIR(mode) else "not a regular file")
        return descriptor

    return open(path, "rb", opener=opener)
