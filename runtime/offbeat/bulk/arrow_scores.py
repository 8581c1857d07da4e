"""Scores as Arrow batches."""

from __future__ import annotations

from typing import Any

from offbeat.bulk.scores import Scores
from offbeat.data.table import pyarrow_module


def arrow_batch(scores: Scores) -> Any:
    """A record batch of the columns of the scores; a line without a value has null. Raises MissingExtraError."""
    arrow = pyarrow_module()
    arrays = {
        name: arrow.array(values, from_pandas=True, type=arrow.string() if values.dtype.kind == "U" else None)
        for name, values in scores.columns.items()
    }
    return arrow.RecordBatch.from_pydict(arrays)
