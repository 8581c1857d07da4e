"""Where a model comes from: values that a checkpoint and a manifest both keep."""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
from msgspec import Meta

from offbeat.errors import require

Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Meta(ge=0)]


class DataSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file or generator trained on; `sha256` is None for generated data."""

    name: str
    sha256: Digest | None
    n_rows: Count


# At 0, 2.5 %, 5 % … 100 %.
N_QUANTILES = 41


class NormalQuantiles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was normal in training: 41 quantiles, from the smallest value to the largest, of each feature and of the error.

    `features` are those of the raw values over `n_windows` windows that were learnt from, `errors` those of the windows that
    were held out, as the threshold was chosen by.
    """

    n_windows: Annotated[int, Meta(ge=1)]
    features: tuple[tuple[float, ...], ...]
    errors: tuple[float, ...]

    def __post_init__(self) -> None:
        for name, values in (
            *((f"features[{n}]", each) for n, each in enumerate(self.features)),
            ("errors", self.errors),
        ):
            is_ascending = (
                len(values) == N_QUANTILES and all(map(math.isfinite, values)) and list(values) == sorted(values)
            )
            expected = f"{N_QUANTILES} finite numbers, ascending"
            require(is_ascending, f"training.normal.{name}", f"{len(values)} values", expected)


class TrainingRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a training run was given and how it ended; losses are in normalised units, `trained_at` is ISO 8601.

    `normal` is what was normal in it, None where that is not known: older files have none.
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
    normal: NormalQuantiles | None = None
