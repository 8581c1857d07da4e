"""The classes that `repeat-classifier` learns beside the windows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from offbeat.data import Dataset
from offbeat.errors import TrainingError
from offbeat_training.config import TrainingConfig
from offbeat_training.split import Indices

PRESET = "repeat-classifier"


def window_classes(
    class_labels: ArrayLike | None, n_windows: int, dataset: Dataset, config: TrainingConfig
) -> Indices | None:
    """The class of each window [window], int64 from 0; None for a preset that learns none.

    `class_labels` [row] are one whole number from 0 for each row of the data set. A window cut out of a series is of the
    class of its last row. Raises TrainingError for labels that are not so, of one class only, missing, or not asked for.
    """
    if (class_labels is None) != (config.preset != PRESET):
        seen = "none" if class_labels is None else "given"
        raise TrainingError(
            f"class_labels are {seen}; preset {PRESET}, and no other, learns a class for each row: "
            "fit(dataset, config, class_labels=…)"
        )
    if class_labels is None:
        return None
    labels = np.asarray(class_labels)
    if labels.shape != (dataset.n_rows,) or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise TrainingError(
            f"class_labels are {labels.dtype} {list(labels.shape)}; expected {dataset.n_rows} whole numbers from 0"
        )
    if labels.max() == 0:
        raise TrainingError("class_labels are all 0; expected at least two classes")
    return labels.astype(np.int64)[dataset.n_rows - n_windows :]
