"""What is odd about the columns that a model is to learn, told before it learns them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offbeat.data import Dataset
from offbeat.telling import in_one_line, listed

# Names under which tables keep the truth, as far as they hold nothing but two values.
_TRUTH = frozenset(("label", "labels", "anomaly", "is_anomaly", "anomalous", "outlier", "is_outlier", "fraud", "is_fraud", "fault", "attack"))  # fmt: skip

# A value is far off that is so many widths of the middle half of its column from its middle, as 1e30 or -9999 for what is missing;
# it swamps the others where with it the column's deviation is so many times theirs.
_FAR, _SWAMPED = 1_000, 100


def feature_notes(dataset: Dataset) -> tuple[str, ...]:
    """One line each: columns that look like the labels of anomalies, that never change, and values that are so far off that they
    swamp a column's others; none where all is well.
    """
    # The first value of each feature stands for it: what never differs from it never changes.
    rows = dataset.values.reshape(-1, dataset.values.shape[-1])
    names = dataset.feature_names
    notes = [
        f"column {name!r} is learnt as a feature; where it tells which rows are anomalous, give --label-column {name}"
        for index, name in enumerate(names)
        if dataset.labels is None and name.lower() in _TRUTH and np.isin(rows[:, index], (-1, 0, 1)).all()
    ]
    constant = [
        repr(name) for name, is_constant in zip(names, (rows == rows[0]).all(axis=0), strict=True) if is_constant
    ]
    if constant:
        notes.append(f"{len(constant)} of {len(names)} columns never change, as float32: {listed(constant)}")
    normal = rows if dataset.labels is None or dataset.values.ndim != 2 else rows[~dataset.labels]
    far = {repr(name): _swamping(normal[:, index].astype(np.float64)) for index, name in enumerate(names)}
    if far := {name: values for name, values in far.items() if values.size}:
        name, values = next(iter(far.items()))
        notes.append(
            f"beside {values[0]:.6g} in column {name} its other values are hardly told apart: does it stand for a missing one? "
            f"So it is in {len(far)} of {len(names)} columns: {listed(tuple(far))}"
        )
    return tuple(in_one_line(f"{dataset.name}: {note}") for note in notes)


def _swamping(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values of a column that are so far off that they alone make its deviation; none where all is well."""
    low, middle, high = np.percentile(column, (25, 50, 75)) if column.size else (0.0, 0.0, 0.0)
    is_far = np.abs(column - middle) > _FAR * (high - low)
    others = column[~is_far]
    if high == low or not is_far.any() or column.std() <= _SWAMPED * others.std():
        return column[:0]
    return column[is_far]
