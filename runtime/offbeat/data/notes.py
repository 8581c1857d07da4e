"""What a user should know of the data before trusting a score of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offbeat.data.dataset import Dataset
from offbeat.data.sampling import describe_sampling
from offbeat.errors import DataError
from offbeat.telling import in_one_line


def data_notes(dataset: Dataset) -> tuple[str, ...]:
    """One line each: values that were filled, and time stamps that are irregular or unreadable; none where all is well.

    Ready-made windows have no step between them, so their time stamps are not judged.
    """
    notes = []
    if dataset.n_filled:
        filled = f"{dataset.n_filled:,} of {dataset.values.size:,} values were missing and filled"
        notes.append(in_one_line(f"{dataset.name}: {filled}"))
    if dataset.timestamps is not None and dataset.values.ndim == 2:
        sampling = sampling_note(dataset.name, dataset.timestamps)
        notes += [] if sampling is None else [sampling]
    return tuple(notes)


def sampling_note(name: str, timestamps: NDArray[np.str_], which: str = "") -> str | None:
    """A line where time stamps [row] are irregular or unreadable, None where all is well; `which` says which they are."""
    try:
        sampling = describe_sampling(timestamps)
    except DataError as error:
        return in_one_line(f"{name}: sampling{which} unknown: {error}")
    return None if sampling.is_regular else in_one_line(f"{name}: irregular sampling{which}: {sampling.summary()}")
