"""A weight of an ONNX graph taken apart again into narrow values and scales, whatever the exporter did to its layout."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor

from offbeat.bundle.precision_record import WeightPrecision
from offbeat_export.quantised_weight import LARGEST_INT8, QuantisedWeight

Floats = NDArray[np.float32]
# Rounding of a scale, or of a factor that was folded into a row, and no more: far less than a step of int8 or float16.
_ROUNDING = 1e-6
_ONNX_TYPES = {
    "fp16": onnx.TensorProto.FLOAT16,
    "bf16": onnx.TensorProto.BFLOAT16,
    "int8": onnx.TensorProto.INT8,
}
_TORCH_TYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True, eq=False)
class NarrowInitializer:
    """`values` in the precision's type, shaped as the float32 weight, and float32 `scale` that spreads over it, or None."""

    values: Tensor
    scale: Floats | None

    def n_scales(self) -> int:
        """How many scales there are."""
        return 0 if self.scale is None else int(self.scale.size)

    def tensor(self, name: str, precision: WeightPrecision) -> onnx.TensorProto:
        """The values as an initializer."""
        # onnx and numpy share no bfloat16; the bytes are the same everywhere.
        content = self.values.contiguous().view(torch.uint8).numpy().tobytes()
        return onnx.helper.make_tensor(name, _ONNX_TYPES[precision], list(self.values.shape), content, raw=True)


def narrow(
    weight: Floats, precision: WeightPrecision, quantised: Iterable[QuantisedWeight]
) -> NarrowInitializer | None:
    """The narrow form of a float32 weight of a graph whose weights are those in `quantised`; None where it has none.

    Exporters transpose weights, order gates anew and fold batch normalisation in, a factor for each row. int8 rows are
    found by their own largest value, since every row has one of ±127; float16 and bfloat16 by being representable, or as a
    known matrix times a factor for each row. The product differs from the weight by float32's rounding at most.
    """
    if precision == "int8":
        found = [each for axis in (-1, -2) if (each := _rows_of_int8(weight, axis)) is not None]
        # Rows of one value are always such a product; the one with fewer scales is the one that was meant.
        return min(found, key=NarrowInitializer.n_scales, default=None)
    exact = torch.tensor(weight)
    values = exact.to(_TORCH_TYPES[precision])
    if bool((values.to(torch.float32) == exact).all()):
        return NarrowInitializer(values=values, scale=None)
    candidates = (_with_row_factors(weight, each.values) for each in quantised)
    return next((found for found in candidates if found is not None), None)


def _rows_of_int8(weight: Floats, axis: int) -> NarrowInitializer | None:
    """Values and scales of rows that run along `axis`; None where the weight is no such product."""
    largest = np.abs(weight).max(axis=axis, keepdims=True)
    scale = np.maximum(largest / np.float32(LARGEST_INT8), np.finfo(np.float32).tiny)
    # The division may have rounded to the neighbour of the scale that was multiplied with.
    tried = (scale, np.nextafter(scale, np.float32(np.inf)), np.nextafter(scale, np.float32(0)))
    misses = [np.abs(np.rint(weight / each) * each - weight).max(axis=axis, keepdims=True) for each in tried]
    chosen = np.choose(np.argmin(misses, axis=0), tried).astype(np.float32)
    if not (np.min(misses, axis=0) <= _ROUNDING * largest).all():
        return None
    return NarrowInitializer(values=torch.from_numpy(np.rint(weight / chosen).astype(np.int8)), scale=chosen)


def _with_row_factors(weight: Floats, values: Tensor) -> NarrowInitializer | None:
    """`weight` as `values`, or their transpose, with every row times a factor of its own; None where it is not."""
    wide = values.to(torch.float32).numpy()
    for is_transposed in (False, True):
        rows = weight.T if is_transposed else weight
        if rows.shape != wide.shape:
            continue
        largest = np.abs(wide).argmax(axis=1, keepdims=True)
        peaks = np.take_along_axis(wide, largest, axis=1)
        factors = np.take_along_axis(rows, largest, axis=1) / np.where(peaks == 0, np.float32(1), peaks)
        if (np.abs(wide * factors - rows) <= _ROUNDING * np.abs(rows).max(axis=1, keepdims=True)).all():
            kept, scale = (values.T, factors.T) if is_transposed else (values, factors)
            return NarrowInitializer(values=kept, scale=np.ascontiguousarray(scale))
    return None
