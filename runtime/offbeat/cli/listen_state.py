"""What `offbeat listen` remembers, in a file, so that a restart goes on where the last run ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic

from offbeat.errors import DataError
from offbeat.files import try_replacing
from offbeat.series_config import SeriesConfig
from offbeat.streams import SeriesStore, read_state, write_state


class ListenState:
    """Reads a store's series from a file, and writes them there every `series_snapshot_s` seconds and at the end.

    Where it cannot be written, `tell` is told so once, and what was written before stays.
    """

    def __init__(
        self, path: Path, model: str, store: SeriesStore, config: SeriesConfig, tell: Callable[[str], None]
    ) -> None:
        self.interval_s = config.series_snapshot_s
        self._path = path
        self._model = model
        self._store = store
        self._max_bytes = 2 * config.max_series_bytes
        self._tell = tell
        self._is_failing = False
        self._n_changes = store.n_changes
        self._next = monotonic() + self.interval_s

    def restore(self) -> int:
        """The number of series that are known from the last run.

        Raises DataError for a file of another model, for none that is whole, and where none can be written.
        """
        if not self._path.parent.is_dir():
            raise DataError(f"{self._path}: no such folder; expected one in which the file can be written")
        try:
            try_replacing(self._path)
        except OSError as error:
            raise DataError(f"{self._path}: series cannot be written: {error.strerror or error}") from error
        if not self._path.exists():
            return 0
        try:
            state = read_state(self._path, self._max_bytes)
        except OSError as error:
            raise DataError(f"{self._path}: cannot be read: {error.strerror or error}") from error
        expected = (self._model, self._store.length, self._store.feature_names)
        if (state.model, state.length, state.feature_names) != expected:
            raise DataError(
                f"{self._path}: rows for model {state.model!r}, windows of {state.length} steps, features "
                f"{', '.join(state.feature_names)}; expected model {self._model!r}, {self._store.length} steps, "
                f"{', '.join(self._store.feature_names)}: remove the file to begin anew"
            )
        return self._store.restore(state, monotonic())

    def keep(self, *, is_end: bool = False) -> None:
        """Writes what there is, where it is time to and anything has changed."""
        now = monotonic()
        if (now < self._next and not is_end) or self._n_changes == self._store.n_changes:
            return
        self._next = now + self.interval_s
        n_changes = self._store.n_changes
        try:
            write_state(self._path, self._store.state(self._model, self._store.occupied(), now))
        except OSError as error:
            if not self._is_failing:
                self._tell(f"{self._path}: series cannot be written: {error.strerror or error}; scoring goes on")
            self._is_failing = True
        else:
            self._is_failing, self._n_changes = False, n_changes
