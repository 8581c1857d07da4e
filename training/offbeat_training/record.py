"""The plain part of a checkpoint: everything but its tensors, as a schema."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from offbeat.provenance import TrainingRecord
from offbeat.result import Threshold

FORMAT: Final = "offbeat.checkpoint"
SCHEMA_VERSION: Final = 1

Size = Annotated[int, Meta(ge=1)]


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen, keyword-only, and unknown keys are errors."""


class WindowSpec(_Record, frozen=True, kw_only=True):
    """The windows of a series: `length` steps each, a new one every `stride` rows in training."""

    length: Size
    stride: Size


class CheckpointRecord(_Record, frozen=True, kw_only=True):
    """Every plain field of the file, beside `state_dict`, `normalisation` and `validation_windows`."""

    format: Literal["offbeat.checkpoint"]
    schema_version: Literal[1]
    architecture_kind: str
    architecture_settings: dict[str, bool | int | float | str | list[int]]
    feature_names: tuple[str, ...]
    window: WindowSpec | None
    threshold: Threshold
    training: TrainingRecord
    metrics: dict[str, float]
    # Files of an older version have none.
    training_config: dict[str, bool | int | float | str | None] = {}
    has_feature_names: bool | None = None
