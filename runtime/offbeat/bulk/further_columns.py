"""Columns beside the scores, which only some models can fill."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offbeat.bundle import Manifest
from offbeat.errors import ConfigurationError, require
from offbeat.result import P_VALUE
from offbeat.scorer import check_calibration

# Of some models.
HEADS = ("error_std", "class_probability", "forecast")
COLUMNS = (P_VALUE, *HEADS)


def check_columns(manifest: Manifest, columns: tuple[str, ...]) -> None:
    """Raises ConfigurationError, or InvalidWindowError for a p-value, for a column that the model cannot fill, or a second time."""
    require(len(set(columns)) == len(columns), "columns", ", ".join(columns), "each at most once")
    for name in columns:
        if name not in COLUMNS:
            raise ConfigurationError(f"columns hold {name!r}; expected some of {', '.join(COLUMNS)}")
        if name == P_VALUE:
            check_calibration(manifest)
        elif name not in manifest.output_names:
            raise ConfigurationError(
                f"columns hold {name!r}, which model {manifest.name!r} does not give; it gives "
                f"{', '.join(each for each in HEADS if each in manifest.output_names) or 'none of ' + ', '.join(HEADS)}"
            )


def columns_of(name: str, lines: NDArray[np.float64], manifest: Manifest) -> dict[str, NDArray[np.float64]]:
    """An output [line, ...] as columns [line]: the last step's forecast by feature, probabilities by class."""
    values = lines[:, -1] if lines.ndim == 3 else lines
    if values.ndim == 1:
        return {name: values}
    numbers = tuple(map(str, range(values.shape[1])))
    words = (manifest.training.class_names or numbers) if name == "class_probability" else manifest.feature_names
    return {f"{name}_{word}": values[:, index] for index, word in enumerate(words)}
