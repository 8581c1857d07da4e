"""Scores as Arrow batches, and files of them."""

from __future__ import annotations

import contextlib
from typing import Any

from offbeat.bulk.scores import Scores
from offbeat.data.table import pyarrow_module

# Lines of a row group, or of a record batch: fewer make such files large and slow to read.
_LINES_AT_ONCE = 131_072


def arrow_batch(scores: Scores) -> Any:
    """A record batch of the columns of the scores; a line without a value has null. Raises MissingExtraError."""
    arrow = pyarrow_module()
    arrays = {
        name: arrow.array(values, from_pandas=True, type=arrow.string() if values.dtype.kind == "U" else None)
        for name, values in scores.columns.items()
    }
    return arrow.RecordBatch.from_pydict(arrays)


class ArrowWriter:
    """Gathers lines into batches, each of which `write_table` of what `opened` gives for their schema writes."""

    def __init__(self, opened: Any) -> None:
        self._opened = opened
        self._batches: list[Any] = []
        self._n_gathered = 0
        self._sink: Any = None

    def write(self, scores: Scores) -> None:
        """Takes the next lines. Raises OSError where they cannot be written."""
        self._batches.append(arrow_batch(scores))
        self._n_gathered += scores.n_lines
        if self._n_gathered >= _LINES_AT_ONCE:
            self._flush()

    def close(self) -> None:
        """Writes what is left, and the file's end."""
        if self._batches:
            self._flush()
        if self._sink is not None:
            self._sink.close()

    def abandon(self) -> None:
        """Closes what is no whole file: left open, it would want to write its end when there is nothing to write into any more."""
        if self._sink is not None:
            with contextlib.suppress(OSError):
                self._sink.close()

    def _flush(self) -> None:
        table = pyarrow_module().Table.from_batches(self._batches).combine_chunks()
        if self._sink is None:
            self._sink = self._opened(table.schema)
        self._sink.write_table(table)
        self._batches, self._n_gathered = [], 0
