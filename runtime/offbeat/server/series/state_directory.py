"""The folder in which series survive a restart."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import logging
import os
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from offbeat.errors import ConfigurationError, DataError, UnavailableError
from offbeat.files import PARTIAL_FILES
from offbeat.server.scoring.workers import WorkerPool
from offbeat.server.series.series_memory import SeriesMemory, Shape
from offbeat.streams import SeriesState, SeriesStore, read_state, write_state

_logger = logging.getLogger("offbeat.server")
_SUFFIX = ".series"
_LOCK = ".lock"
# Copied without a turn of the event loop: a fraction of a millisecond.
_BLOCK_BYTES = 256 * 2**10


class StateDirectory:
    """Writes what is remembered, one file for each shape, in a thread of its own; reads it at the start.

    Belongs to one event loop. A file that is not as it should be is set aside, and never ends anything. `snapshots` counts files "written" and "failed",
    and those "refused" at the start. `written_at` is when all there was had been written, by the memory's clock.
    """

    def __init__(self, path: Path, memory: SeriesMemory, max_bytes: int) -> None:
        self._path = path
        self._memory = memory
        self._max_bytes = 2 * max_bytes
        self._thread = WorkerPool(1, "offbeat-series")
        self._turn = asyncio.Lock()
        # The write that has not begun: it is for all who ask until then.
        self._next: asyncio.Task[int] | None = None
        self._writes: set[asyncio.Task[int]] = set()
        self._lock: int | None = None
        self._n_changes: dict[Shape, int] = {}
        self._is_failing = False
        self.snapshots = Counter(written=0, failed=0, refused=0)
        self.written_at = memory.clock()

    async def open(self) -> None:
        """Takes the folder for this process alone, and reads what is there. Raises ConfigurationError."""
        self._lock = _take_folder(self._path)
        self._thread.start()
        states = await self._thread.call(self._read)
        for state in states:
            n_series = self._memory.restore(state)
            _logger.info("model %r: %d series of %d steps from %s", state.model, n_series, state.length, self._path)
        self.written_at = self._memory.clock()

    async def write(self) -> int:
        """Writes what has changed; returns the number of series in all files. Raises UnavailableError where that fails.

        Whoever asks while a write runs waits for the one after it, together with the others.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._write_all())
            self._writes.add(self._next)
            self._next.add_done_callback(self._writes.discard)
        return await asyncio.shield(self._next)

    async def _write_all(self) -> int:
        async with self._turn:
            self._next = None
            await self._keep_folder()
            begun_at, n_series, failure = self._memory.clock(), 0, None
            for shape, store in self._memory.stores():
                n_series += len(store)
                if self._n_changes.get(shape) != store.n_changes:
                    try:
                        await self._write(shape, store)
                    except UnavailableError as error:
                        # The file of another model may be small enough.
                        failure = error
            if failure is not None:
                raise failure
            self.written_at = begun_at
            if self._is_failing:
                self._is_failing = False
                _logger.info("state_dir %s: series are written again", self._path)
            return n_series

    def close(self) -> None:
        """Writes no more, and lets another server have the folder."""
        for write in self._writes:
            write.cancel()
        self._thread.stop()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _write(self, shape: Shape, store: SeriesStore) -> None:
        n_changes, slots = store.n_changes, store.occupied()
        n_slots = max(1, _BLOCK_BYTES // store.n_bytes_each)
        blocks = [store.state(shape.model, slots[:0], self._memory.clock())]
        for begin in range(0, len(slots), n_slots):
            blocks.append(store.state(shape.model, slots[begin : begin + n_slots], self._memory.clock()))
            await asyncio.sleep(0)
        try:
            await self._thread.call(partial(_write, self._path / _file_name(shape), blocks))
        except OSError as error:
            raise self._failure(error.strerror or str(error)) from error
        self.snapshots["written"] += 1
        self._n_changes[shape] = n_changes

    async def _keep_folder(self) -> None:
        """Takes the folder once more where it is another than that of the start. Raises UnavailableError where another server has it."""
        if self._lock is None or await self._thread.call(partial(_is_lock_of, self._lock, self._path)):
            return
        try:
            lock = await self._thread.call(partial(_take_folder, self._path))
        except ConfigurationError as error:
            raise self._failure(str(error)) from error
        os.close(self._lock)
        self._lock = lock
        # Nothing is in it yet.
        self._n_changes.clear()

    def _failure(self, reason: str) -> UnavailableError:
        self.snapshots["failed"] += 1
        told = f"state_dir {self._path}: series cannot be written: {reason}"
        if not self._is_failing:
            self._is_failing = True
            _logger.error("%s; scoring goes on, and a restart would know what was written before", told)
        return UnavailableError(told)

    def _read(self) -> list[SeriesState]:
        for partial_file in self._path.glob(PARTIAL_FILES):
            partial_file.unlink(missing_ok=True)
        states = []
        for path in sorted(self._path.glob(f"*{_SUFFIX}")):
            try:
                state = read_state(path, self._max_bytes)
                if path.name != _file_name(Shape(state.model, state.length, state.feature_names)):
                    raise DataError(f"{path}: holds series of model {state.model!r}; expected those of its own name")
            except (OSError, DataError) as error:
                self._set_aside(path, error)
            else:
                if state.names:
                    states.append(state)
        return states

    def _set_aside(self, path: Path, error: Exception) -> None:
        self.snapshots["refused"] += 1
        aside = path.with_suffix(".refused")
        told = f"{path}: {error.strerror}" if isinstance(error, OSError) else str(error)
        _logger.error("%s; its series begin anew, and it is kept as %s", told, aside.name)
        try:
            path.replace(aside)
        except OSError as failure:
            _logger.error("%s: cannot be set aside: %s", path, failure.strerror)


def _file_name(shape: Shape) -> str:
    told = msgspec.json.encode((shape.length, shape.feature_names))
    return f"{shape.model}.{hashlib.sha256(told).hexdigest()[:12]}{_SUFFIX}"


def _write(path: Path, blocks: Sequence[SeriesState]) -> None:
    names = [name for block in blocks for name in block.names]
    # Rows came between two blocks: a series that was forgotten and came back elsewhere is in both, and the later one has all.
    kept = sorted({name: place for place, name in enumerate(names)}.values())
    fields = ("tails", "n_seen", "timestamps", "ages_s", "flags")
    whole = {field: np.concatenate([getattr(block, field) for block in blocks])[kept] for field in fields}
    write_state(path, msgspec.structs.replace(blocks[0], names=[names[place] for place in kept], **whole))


def check_state_dir(path: Path) -> None:
    """Raises ConfigurationError for a folder that cannot be written; makes it where it is not there. A server may have it."""
    os.close(_open_lock(path))


def _take_folder(path: Path) -> int:
    """Keeps other servers out until what is returned is closed, or this process ends. Raises ConfigurationError."""
    descriptor = _open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise ConfigurationError(f"state_dir {path} is in use; expected a folder of no other server") from error
    return descriptor


def _is_lock_of(descriptor: int, path: Path) -> bool:
    """Whether that lock is in the folder that is there now; true also where there is none."""
    try:
        there = (path / _LOCK).lstat()
    except OSError:
        return not path.is_dir()
    return os.path.samestat(os.fstat(descriptor), there)


def _open_lock(path: Path) -> int:
    try:
        path.mkdir(0o700, parents=True, exist_ok=True)
        descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if not os.access(path, os.W_OK | os.X_OK):
            # The lock of another time may be there all the same.
            os.close(descriptor)
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return descriptor
    except OSError as error:
        raise ConfigurationError(
            f"state_dir {path}: {error.strerror}; expected a folder that can be written"
        ) from error
