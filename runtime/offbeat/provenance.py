"""Where a model comes from: values that a checkpoint and a manifest both keep."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Meta(ge=0)]


class DataSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file or generator trained on; `sha256` is None for generated data."""

    name: str
    sha256: Digest | None
    n_rows: Count


class TrainingRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a training run was given and how it ended; losses are in normalised units, `trained_at` is ISO 8601.

    `class_names` are the words for the classes 0, 1, … in the data, of a model that learnt classes that had any.
    """

    source: DataSource
    n_training_windows: Count
    n_validation_windows: Count
    n_epochs: Count
    best_epoch: Count
    best_validation_loss: float
    seed: int
    trained_at: str
    torch_version: str
    offbeat_version: str
    class_names: tuple[str, ...] = ()
