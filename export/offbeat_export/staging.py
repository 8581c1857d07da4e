"""Writes a model version so that it appears whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from offbeat.bundle import ModelRepository
from offbeat.errors import ExportError
from offbeat.files import try_replacing

CONFIG_PBTXT = "config.pbtxt"
# Nothing that lists a repository takes a name with a leading dot for a model.
_PREFIX = ".offbeat-"


class Staging:
    """A hidden folder inside a repository in which one version of one model is put together; a context manager.

    `version` is reserved while it is open: the one asked for, or the next free one. `folder` is where to write files.
    `publish` renames it into place. Leaving without publishing, or dying, leaves the repository as it was; what a dead
    export left behind is removed when the next one begins. Entering raises ExportError for a version that exists, and where
    none can be written.
    """

    def __init__(self, repository: Path, name: str, version: int | None) -> None:
        self._repository = repository
        self._name = name
        self._wanted = version

    def __enter__(self) -> Self:
        model = self._repository / self._name
        try:
            self._repository.mkdir(parents=True, exist_ok=True)
            if model.is_dir():
                try_replacing(model / CONFIG_PBTXT)
            with _locked(self._repository):
                _remove_dead(self._repository)
                self.version = self._reserve()
                self._root = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._repository))
                self._lock = _try_lock(self._root)
                self.folder = self._root / self._name / str(self.version)
                self.folder.mkdir(parents=True)
        except OSError as error:
            raise ExportError(f"{self._repository}: cannot be written: {error.strerror or error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._root, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)

    def write(self, name: str, content: bytes) -> None:
        """Writes a file of the version, in the place of an earlier one, and waits until it is on the disk."""
        path = self.folder / name
        path.unlink(missing_ok=True)
        _write(path, content)

    def publish(self, config: str) -> Path:
        """Moves the version into place and returns its folder. A new model comes with `config` as its config.pbtxt.

        A config.pbtxt that is already there is the user's and stays. Raises ExportError.
        """
        model = self._repository / self._name
        target = model / str(self.version)
        try:
            with _locked(self._repository):
                if target.exists():
                    raise ExportError(f"{target} exists; versions are never overwritten")
                _sync(self.folder)
                if not model.exists():
                    _write(self.folder.parent / CONFIG_PBTXT, config.encode())
                    _rename(self.folder.parent, model)
                else:
                    _rename(self.folder, target)
                    _write_if_missing(model / CONFIG_PBTXT, config, self._root)
        except OSError as error:
            raise ExportError(f"{target}: cannot be written: {error.strerror or error}") from error
        return target

    def _reserve(self) -> int:
        """The version asked for, or one more than any that exists or is being written by another export."""
        existing = ModelRepository(self._repository).versions(self._name)
        reserved = [
            int(path.name) for path in self._repository.glob(f"{_PREFIX}*/{self._name}/*") if path.name.isdecimal()
        ]
        if self._wanted is None:
            return max((*existing, *reserved), default=0) + 1
        if self._wanted in (*existing, *reserved):
            state = "exists" if self._wanted in existing else "is being written by another export"
            raise ExportError(
                f"{self._repository / self._name}: version {self._wanted} {state}; versions are never overwritten"
            )
        return self._wanted


def check_version(repository: Path, name: str, version: int | None) -> None:
    """Before the work, not after. Raises ExportError where the version could not be written."""
    with Staging(repository, name, version):
        pass


def _remove_dead(repository: Path) -> None:
    """Removes the folders of exports that no longer run: a lock ends with the process that holds it."""
    for left in repository.glob(f"{_PREFIX}*"):
        if left.is_symlink() or not left.is_dir():
            # No export made it.
            continue
        lock = _try_lock(left)
        if lock is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(lock)


@contextlib.contextmanager
def _locked(repository: Path) -> Iterator[None]:
    """Holds the repository's folder against other exports for a moment; no file is needed for it, and none is left."""
    descriptor = os.open(repository, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _try_lock(folder: Path) -> int | None:
    """Locks a folder and returns the descriptor that holds the lock; None where another process holds it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return None
        raise
    return descriptor


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _write_if_missing(path: Path, content: str, staging: Path) -> None:
    if not path.exists():
        _write(staging / path.name, content.encode())
        _rename(staging / path.name, path)


def _rename(source: Path, target: Path) -> None:
    source.rename(target)
    _sync(target.parent)


def _sync(folder: Path) -> None:
    """Waits until the folder's entries are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
