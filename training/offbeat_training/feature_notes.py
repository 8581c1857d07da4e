"""What is odd about the columns that a model is to learn, told before it learns them."""

from __future__ import annotations

import numpy as np

from offbeat.data import Dataset
from offbeat.telling import in_one_line, listed

# Names under which tables keep the truth, as far as they hold nothing but two values.
_TRUTH = frozenset(("label", "labels", "anomaly", "is_anomaly", "anomalous", "outlier", "is_outlier", "fraud", "is_fraud", "fault", "attack"))  # fmt: skip


def feature_notes(dataset: Dataset) -> tuple[str, ...]:
    """One line each: columns that look like the labels of anomalies, and columns that never change; none where all is well."""
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
    return tuple(in_one_line(f"{dataset.name}: {note}") for note in notes)
