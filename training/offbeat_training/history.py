"""How the losses of a run went, epoch by epoch."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import msgspec

from offbeat_training.whole_file import whole_file


class Epoch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One epoch, counted from 1; losses in normalised units, `seconds` by the wall's clock, held-out windows included."""

    epoch: int
    training_loss: float
    validation_loss: float
    learning_rate: float
    seconds: float


def best_of(history: Sequence[Epoch]) -> Epoch:
    """The epoch with the lowest validation loss; the first among equals."""
    return min(history, key=lambda each: each.validation_loss)


def write_history(path: Path, history: Sequence[Epoch]) -> None:
    """A csv file with a heading and a line per epoch, replaced whole; every digit of the losses is kept."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(Epoch.__struct_fields__)
    rows.writerows(msgspec.structs.astuple(each) for each in history)
    with whole_file(path) as file:
        file.write(text.getvalue().encode())
