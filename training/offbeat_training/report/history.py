"""How the losses fell while the model was trained."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from offbeat.data import read_dataset
from offbeat.errors import DataError
from offbeat.telling import listed
from offbeat_training.report.chart import Floats


class TrainingHistory(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """`losses` [epoch] by name, and the `epochs` [epoch] they belong to."""

    epochs: Floats
    losses: dict[str, Floats]


def read_history(path: Path) -> TrainingHistory:
    """Reads a csv file with a line per epoch: every column whose name holds `loss`, and `epoch`, else the lines are counted.

    Raises DataError, naming the file.
    """
    table = read_dataset(path)
    columns = dict(zip(table.feature_names, table.values.T.astype(np.float64), strict=True))
    losses = {name: values for name, values in columns.items() if "loss" in name}
    if not losses or table.values.ndim != 2:
        raise DataError(f"{path}: columns {listed(list(columns))}; expected at least one whose name holds 'loss'")
    return TrainingHistory(epochs=columns.get("epoch", np.arange(1.0, table.n_rows + 1)), losses=losses)
