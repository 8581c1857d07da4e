"""Parts of the normal windows, each held out in turn."""

from __future__ import annotations

import numpy as np

from offbeat_training.split import Indices

N_FOLDS = 3
# Of all windows, what has to be left to learn from beside those held out and those that share rows with them.
_MIN_PART = 0.1
Fold = tuple[Indices, Indices]


def series_folds(starts: Indices, length: int) -> list[Fold]:
    """Three stretches of a series: windows to learn from, and those held out, by their first rows.

    `starts` [window] ascend, of windows of `length` rows. No row lies in windows of both parts. Empty where that would
    leave less than a tenth of the windows to learn from.
    """
    folds = []
    for held_out in np.array_split(starts, N_FOLDS):
        if not held_out.size:
            return []
        training = starts[(starts + length <= held_out[0]) | (starts >= held_out[-1] + length)]
        if training.size < max(2, _MIN_PART * starts.size):
            return []
        folds.append((training, held_out))
    return folds


def sample_folds(positions: Indices, seed: int) -> list[Fold]:
    """Three random parts of samples, the same for the same seed; empty for fewer than six."""
    if positions.size < 2 * N_FOLDS:
        return []
    parts = np.array_split(np.random.default_rng(seed).permutation(positions), N_FOLDS)
    return [(np.setdiff1d(positions, part), np.sort(part)) for part in parts]
