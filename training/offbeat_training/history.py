"""How the losses of a run went, epoch by epoch."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import msgspec

from offbeat.errors import CheckpointError
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
    with whole_file(path) as file:
        file.write(_lines(Epoch.__struct_fields__, *map(msgspec.structs.astuple, history)))


def append_epoch(path: Path, epoch: Epoch) -> None:
    """Adds a line to the file that `write_history` began. Raises CheckpointError where it cannot be written."""
    try:
        with path.open("ab") as file:
            file.write(_lines(msgspec.structs.astuple(epoch)))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror or error}") from error


def _lines(*rows: Sequence[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
