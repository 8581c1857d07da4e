"""The further outputs of a model for each line of the scores, for whoever wants to know more than how odd it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offbeat.bulk import BulkOptions, ScoreSource
from offbeat.bulk.further_columns import HEADS
from offbeat.bundle import Manifest
from offbeat.data import Dataset, row_means, window_starts
from offbeat.errors import require
from offbeat.result import FloatArray, ScoreResult
from offbeat.targets import write_target

ALWAYS = ("feature_error", "reconstruction")

Floats = NDArray[np.float64]


def arrays_of(manifest: Manifest) -> tuple[str, ...]:
    """What a file of arrays holds of a model: all that there is by line."""
    return (*ALWAYS, *(name for name in HEADS if name in manifest.output_names))


class LineOutputs:
    """Collects outputs `names` of windows, batch by batch, and gives them line by line.

    A line is a window or a sample, or, with `length`, a row of a series: then `feature_error`, `reconstruction` and
    `error_std` are means over the windows that cover it, `class_probability` is that of the window that ends with it, and
    `forecast` that of the window that ended before it; NaN where there is none. `starts` [window] are the windows' first rows.
    """

    def __init__(self, dataset: Dataset, starts: NDArray[np.int64], length: int | None, names: tuple[str, ...]) -> None:
        self.names = names
        self._dataset = dataset
        self._starts = starts
        self._length = length
        self._n_added = 0
        self._by_window: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
        self._reconstruction = (
            np.full(dataset.values.shape, np.nan) if length is None else np.zeros(dataset.values.shape)
        )
        self._n_covering = np.zeros(dataset.n_rows, dtype=np.int64)

    @classmethod
    def of(cls, manifest: Manifest, dataset: Dataset, options: BulkOptions) -> LineOutputs:
        """All outputs of the lines that a data set has. A series has rows: raises ConfigurationError for --per window."""
        names = arrays_of(manifest)
        if manifest.window is None or dataset.values.ndim == 3:
            return cls(dataset, np.arange(dataset.n_rows), None, names)
        require(options.per == "row", "per", options.per, "row with --outputs, for a series")
        length = manifest.window.length
        return cls(dataset, window_starts(dataset.n_rows, length, options.stride), length, names)

    def arrays(self) -> dict[str, Floats]:
        """Each output [line, ...] by its name."""
        return {name: self.lines(name) for name in self.names}

    def add(self, result: ScoreResult) -> None:
        """Takes the next batch; its outputs must hold all `names`, and `reconstruction_error`."""
        arrays: dict[str, Any] = result.arrays()
        n_windows = len(arrays["reconstruction_error"])
        batch = slice(self._n_added, self._n_added + n_windows)
        self._n_added = batch.stop
        for name in self.names:
            if name == "reconstruction":
                self._add_reconstruction(batch, arrays[name])
            else:
                # Of a row only the last step's forecast is wanted, which has seen the whole window.
                is_last_step = name == "forecast" and self._length is not None
                self._by_window[name].append(arrays[name][:, -1] if is_last_step else arrays[name])

    def _add_reconstruction(self, batch: slice, reconstruction: NDArray[np.float32]) -> None:
        if self._length is None:
            # A reconstruction may have fewer steps than its window.
            place = (batch,) if reconstruction.ndim == 2 else (batch, slice(reconstruction.shape[1]))
            self._reconstruction[place] = reconstruction
            return
        for step in range(reconstruction.shape[1]):
            # The starts are distinct, so that each row is met once in a step.
            rows = self._starts[batch] + step
            self._reconstruction[rows] += reconstruction[:, step]
            self._n_covering[rows] += 1

    def lines(self, name: str) -> Floats:
        """An output [line, ...]; of ready-made windows `reconstruction` and `forecast` are [window, time, feature]."""
        if name == "reconstruction":
            if self._length is None:
                return self._reconstruction
            return self._reconstruction / np.where(self._n_covering > 0, self._n_covering, np.nan)[:, None]
        values = np.concatenate(self._by_window[name]).astype(np.float64)
        if self._length is None:
            return values
        if name == "class_probability":
            return self._at_rows(values, self._starts + self._length - 1)
        if name == "forecast":
            return self._at_rows(values, self._starts + self._length)
        means = [self._row_means(column) for column in values.reshape(len(values), -1).T]
        return np.stack(means, axis=1).reshape(-1, *values.shape[1:])

    def _row_means(self, values: Floats) -> Floats:
        return row_means(values, self._starts, self._length or 1, self._dataset.n_rows)

    def _at_rows(self, values: Floats, rows: NDArray[np.int64]) -> Floats:
        """`values` [window, ...] at one row each; the last window's forecast is of a row that is not there."""
        lines = np.full((self._dataset.n_rows, *values.shape[1:]), np.nan)
        is_there = rows < self._dataset.n_rows
        lines[rows[is_there]] = values[is_there]
        return lines


class CollectingSource:
    """Scores as another source does, and hands every result, with what is `collected`, to that first."""

    def __init__(self, source: ScoreSource, collected: LineOutputs) -> None:
        self.collected = collected
        self.manifest = source.manifest
        self.backend = source.backend
        self.max_batch_size = source.max_batch_size
        self._source = source

    def score_all(self, batches: Iterable[FloatArray], outputs: Sequence[str]) -> Iterator[ScoreResult]:
        """One result, with those outputs and more, for each batch. Raises OffbeatError."""
        for result in self._source.score_all(batches, tuple(dict.fromkeys((*outputs, *self.collected.names)))):
            self.collected.add(result)
            yield result


def write_arrays(path: Path, arrays: dict[str, Floats], feature_names: tuple[str, ...]) -> None:
    """Writes the arrays, as float32, and the names as an npz file, whole or not at all. Raises DataError."""
    content: dict[str, Any] = {name: array.astype(np.float32) for name, array in arrays.items()}
    content["feature_names"] = np.asarray(feature_names)
    write_target(path, "wb", lambda file: np.savez_compressed(file, **content))
