"""Images as sequences: each row of pixels is a step."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.data import ColumnSelection, Dataset, read_dataset
from offbeat.data.reader import file_sha256
from offbeat.errors import DataError, require
from offbeat_training.datasets.idx_file import read_idx

N_CLASSES = 10


def read_images(
    images: str | os.PathLike[str],
    classes: str | os.PathLike[str] | None = None,
    *,
    normal_classes: tuple[int, ...] = (0,),
) -> Dataset:
    """Images of an IDX file, gzip-compressed or not, as windows [window, row, column], grey from 0 to 255.

    `classes` is the IDX file of their classes; an image of a class that is not normal is labelled an anomaly, and without
    the file nothing is labelled. Raises DataError, naming the file; ConfigurationError for classes other than 0 to 9.

    Source of the format and of 28 by 28 digits: LeCun, Cortes, Burges, *The MNIST Database*, 1998.
    """
    file = Path(images)
    numbers = None if classes is None else read_idx(Path(classes), 1)
    dataset = image_windows(file.name, read_idx(file, 3), numbers, normal_classes)
    return msgspec.structs.replace(dataset, sha256=file_sha256(file))


def read_image_npz(
    path: str | os.PathLike[str], part: Literal["train", "test"] = "train", *, normal_classes: tuple[int, ...] = (0,)
) -> Dataset:
    """The same out of an npz file with `x_train`, `y_train`, `x_test` and `y_test`, as Keras keeps MNIST."""
    images = read_dataset(path, ColumnSelection(key=f"x_{part}"))
    classes = read_dataset(path, ColumnSelection(key=f"y_{part}")).values
    name = f"{images.name}:{part}"
    dataset = image_windows(name, images.values, classes.reshape(-1), normal_classes)
    return msgspec.structs.replace(dataset, sha256=images.sha256)


def image_windows(
    name: str, images: NDArray[np.number], classes: NDArray[np.number] | None, normal_classes: tuple[int, ...]
) -> Dataset:
    """Images [image, row, column] with their classes [image] as a data set. Raises DataError, ConfigurationError."""
    is_known = bool(normal_classes) and set(normal_classes) <= set(range(N_CLASSES))
    require(is_known, "normal_classes", normal_classes, f"classes from 0 to {N_CLASSES - 1}")
    if images.ndim != 3:
        raise DataError(f"{name}: images have shape {images.shape}; expected [image, row, column]")
    if classes is not None and classes.shape != images.shape[:1]:
        raise DataError(f"{name}: {len(images):,} images and {classes.size:,} classes; expected one for each")
    return Dataset(
        name=name,
        values=np.ascontiguousarray(images, dtype=np.float32),
        feature_names=tuple(f"column_{number}" for number in range(images.shape[2])),
        labels=None if classes is None else ~np.isin(classes, normal_classes),
    )
