"""The classes that `repeat-classifier` learns beside the windows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offbeat.data import Dataset
from offbeat.errors import TrainingError
from offbeat_training.config import TrainingConfig
from offbeat_training.preset_designs import Preset
from offbeat_training.split import Indices

CLASSIFIER: Preset = "repeat-classifier"


def window_classes(
    class_labels: ArrayLike | None, n_windows: int, dataset: Dataset, config: TrainingConfig
) -> Indices | None:
    """The class of each window [window], int64 from 0; None for a preset that learns none.

    `class_labels` [row] are one whole number from 0 for each row of the data set, which may instead hold the words for
    them. A window cut out of a series is of the class of its last row. Raises TrainingError for labels that are not so,
    of one class only, missing, or not asked for.
    """
    if class_labels is not None and dataset.classes is not None:
        raise TrainingError("class_labels are given, and the data have classes too; expected one of the two")
    is_given = class_labels is not None or dataset.classes is not None
    if is_given != (config.preset == CLASSIFIER):
        seen = "given" if is_given else "none"
        raise TrainingError(
            f"class_labels are {seen}; preset {CLASSIFIER}, and no other, learns a class for each row: name its column as "
            "class_column, --class-column, or give fit(dataset, config, class_labels=…)"
        )
    if not is_given:
        return None
    numbers = _numbers(class_labels, dataset)[dataset.n_rows - n_windows :]
    if np.unique(numbers).size < 2:
        words, first = class_names(dataset), int(numbers[0])
        raise TrainingError(f"class_labels are all {words[first] if words else first}; expected at least two classes")
    return numbers


def class_names(dataset: Dataset) -> tuple[str, ...]:
    """The words for the classes 0, 1, … of the data, sorted: as numbers where all are whole ones; () where it has none.

    Raises TrainingError for numbers that are not whole.
    """
    return () if dataset.classes is None else _sorted_words(dataset.classes)


def class_numbers(dataset: Dataset) -> Indices | None:
    """The class of each row [row] of the data, int64 from 0; None where it has none. Raises as `class_names` does."""
    if dataset.classes is None:
        return None
    numbers = {word: number for number, word in enumerate(_sorted_words(dataset.classes))}
    words, positions = np.unique(dataset.classes, return_inverse=True)
    return np.array([numbers[_canonical(word)] for word in words.tolist()], dtype=np.int64)[positions]


def _numbers(class_labels: ArrayLike | None, dataset: Dataset) -> Indices:
    of_data = class_numbers(dataset)
    if of_data is not None:
        return of_data
    labels = np.asarray(class_labels)
    if labels.shape != (dataset.n_rows,) or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise TrainingError(
            f"class_labels are {labels.dtype} {list(labels.shape)}; expected {dataset.n_rows} whole numbers from 0"
        )
    return labels.astype(np.int64)


def _sorted_words(classes: NDArray[np.str_]) -> tuple[str, ...]:
    words = {_canonical(word) for word in np.unique(classes).tolist()}
    if all(_is_number(word) for word in words):
        fractions = sorted(word for word in words if not _is_whole(word))
        if fractions:
            raise TrainingError(f"class_column holds {fractions[0]}; expected words or whole numbers")
        return tuple(sorted(words, key=int))
    return tuple(sorted(words))


def _canonical(word: str) -> str:
    """1, 1.0 and 01 are one class."""
    return str(int(float(word))) if _is_number(word) and float(word).is_integer() else word.strip()


def _is_whole(word: str) -> bool:
    return float(word).is_integer()


def _is_number(word: str) -> bool:
    try:
        return bool(np.isfinite(float(word)))
    except ValueError:
        return False
