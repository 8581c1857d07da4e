"""A head of the layer plan: an output beside the reconstruction."""

from __future__ import annotations

from typing import Literal

import msgspec

from offbeat_export.layer_kinds import Layer


class PlanHead(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`output` is what `layers` make of the value kept as `value`; a forecast is then brought to raw units."""

    output: Literal["class_probability", "forecast"]
    value: str
    layers: tuple[Layer, ...]
