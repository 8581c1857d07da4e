"""What a user should know of the data before trusting a score of it."""

from __future__ import annotations

from offbeat.data.dataset import Dataset
from offbeat.data.sampling import describe_sampling
from offbeat.errors import DataError


def data_notes(dataset: Dataset) -> tuple[str, ...]:
    """One line each: values that were filled, and time stamps that are irregular or unreadable; none where all is well.

    Ready-made windows have no step between them, so their time stamps are not judged.
    """
    notes = []
    if dataset.n_filled:
        notes.append(f"{dataset.name}: {dataset.n_filled:,} of {dataset.values.size:,} values were missing and filled")
    if dataset.timestamps is not None and dataset.values.ndim == 2:
        try:
            sampling = describe_sampling(dataset.timestamps)
        except DataError as error:
            notes.append(f"{dataset.name}: sampling unknown: {error}")
        else:
            if not sampling.is_regular:
                notes.append(f"{dataset.name}: irregular sampling: {sampling.summary()}")
    return tuple(notes)
