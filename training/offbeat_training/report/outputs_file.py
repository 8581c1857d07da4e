"""The further outputs of a model, line by line, out of an npz file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import msgspec

from offbeat.data import ColumnSelection, read_dataset
from offbeat.errors import DataError
from offbeat.result import FloatArray

NAMES = ("feature_error", "reconstruction")


class ModelOutputs(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """`feature_error` [line, feature], and `reconstruction` [line, feature] or [window, time, feature]; each if it is there."""

    feature_error: FloatArray | None = None
    reconstruction: FloatArray | None = None


def read_outputs(path: Path, feature_names: tuple[str, ...]) -> ModelOutputs:
    """Reads arrays of those names; an array `feature_names` in the file, if any, says which column is which.

    Raises DataError, naming the file, where none is there or one has not the features wanted.
    """
    present = [name for name in NAMES if name in _arrays(path)]
    if not present:
        raise DataError(f"{path}: holds neither of {', '.join(NAMES)}")
    chosen = {name: read_dataset(path, ColumnSelection(key=name, features=feature_names)).values for name in present}
    return ModelOutputs(**chosen)


def _arrays(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a readable npz archive: {error}") from error
