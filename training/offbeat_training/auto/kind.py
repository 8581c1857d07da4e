"""Whether lines of data are windows, rows of a series, or rows of a table."""

from __future__ import annotations

from typing import Literal

import numpy as np

from offbeat.data import Dataset

Kind = Literal["windows", "series", "table"]

# In a series some feature hardly moves from one row to the next: a temperature, a level, a load.
SLOW = 0.95


def kind_of(dataset: Dataset, seq_len: int | None) -> tuple[Kind, str]:
    """What the lines of a data set are, and how that is known; `seq_len` is what was asked for, None if nothing was.

    A window of one row makes a table, a longer one a series, whatever the data. Otherwise time stamps and a single feature
    make a series, and so does a feature whose neighbouring rows correlate at 0.95 or more; all else is a table.
    """
    if dataset.values.ndim == 3:
        return "windows", f"{dataset.n_rows:,} ready-made windows of {dataset.values.shape[1]} steps"
    size = f"{dataset.n_rows:,} rows"
    if seq_len is not None:
        return ("table", f"a table of {size}, as seq_len is 1") if seq_len == 1 else ("series", f"a series of {size}")
    if dataset.timestamps is not None:
        return "series", f"a series of {size}, as they have time stamps"
    if len(dataset.feature_names) == 1:
        return "series", f"a series of {size}, as there is one feature"
    correlation, name = _slowest(dataset)
    known_by = f"neighbouring rows of {name!r} correlate at {correlation:.2f}"
    if correlation >= SLOW:
        return "series", f"a series of {size}, as {known_by} (seq_len 1 would make it a table)"
    return (
        "table",
        f"a table of {size}, as {known_by}, and those of no other column more (a seq_len above 1 would make it a series)",
    )


def _slowest(dataset: Dataset) -> tuple[float, str]:
    """The highest correlation of neighbouring rows among the features, and whose it is."""
    rows = dataset.values.astype(np.float64)
    rows = rows - rows.mean(axis=0)
    squares = np.square(rows).sum(axis=0)
    products = (rows[1:] * rows[:-1]).sum(axis=0)
    correlations = np.divide(products, squares, out=np.zeros_like(squares), where=squares > 0)
    slowest = int(np.argmax(correlations))
    return float(correlations[slowest]), dataset.feature_names[slowest]
