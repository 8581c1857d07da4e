"""A weight matrix in fewer bits, and the float32 matrix it stands for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from offbeat.bundle.precision_record import WeightPrecision
from offbeat.errors import ExportError

# Symmetric: −128 is left out, so that every weight has its negative.
LARGEST_INT8 = 127
_SIXTEEN_BITS = {"fp16": torch.float16, "bf16": torch.bfloat16}
# The smallest normal float32: a scale below it would lose bits of its own.
_SMALLEST_SCALE = 2.0**-126


@dataclass(frozen=True, kw_only=True, eq=False)
class QuantisedWeight:
    """`values` [row, column] in float16, bfloat16 or int8; `scale` [row] in float32 for int8, else None.

    An int8 row stands for values · scale, with values from −127 to 127.
    """

    values: Tensor
    scale: Tensor | None = None

    @classmethod
    def of(cls, weight: Tensor, precision: WeightPrecision, name: str) -> QuantisedWeight:
        """The nearest matrix of that precision to a float32 one [row, column].

        Raises ExportError, naming the tensor, for a weight that float16 is too narrow for.
        """
        if precision == "int8":
            return cls._in_8_bits(weight)
        values = weight.to(_SIXTEEN_BITS[precision])
        if not torch.isfinite(values).all():
            largest = torch.finfo(values.dtype).max
            raise ExportError(
                f"{name} holds {float(weight.abs().max()):.6g}; expected at most {largest:.6g}, the largest {precision}"
            )
        return cls(values=values)

    @classmethod
    def _in_8_bits(cls, weight: Tensor) -> QuantisedWeight:
        """scale = max |w| / 127 of each row; q = w / scale, to the nearest integer."""
        scale = (weight.abs().amax(dim=1) / LARGEST_INT8).clamp_min(_SMALLEST_SCALE)
        values = (weight / scale[:, None]).round().clamp(-LARGEST_INT8, LARGEST_INT8)
        return cls(values=values.to(torch.int8), scale=scale)

    def dequantised(self) -> Tensor:
        """The float32 matrix [row, column] that it stands for."""
        values = self.values.to(torch.float32)
        return values if self.scale is None else values * self.scale[:, None]
