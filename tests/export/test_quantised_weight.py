from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from offbeat.errors import ExportError
from offbeat_export.quantised_weight import QuantisedWeight


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 9), columns=st.integers(1, 9), exponent=st.integers(-45, 38))
@settings(max_examples=60)
def test_int8_is_at_most_half_a_step_of_its_row_away(seed: int, rows: int, columns: int, exponent: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = (torch.randn(rows, columns, generator=generator).clamp(-3, 3) * 10.0 ** (exponent - 1)).to(torch.float32)
    found = QuantisedWeight.of(weight, "int8", "w")
    assert found.scale is not None
    assert found.values.dtype == torch.int8
    assert found.values.abs().max() <= 127
    assert found.scale.shape == (rows,)
    distance = (found.dequantised().double() - weight.double()).abs()
    assert (distance <= 0.5001 * found.scale.double()[:, None]).all()


def test_rows_of_zeros_stay_zero() -> None:
    found = QuantisedWeight.of(torch.zeros(2, 3), "int8", "w")
    assert torch.equal(found.dequantised(), torch.zeros(2, 3))


def test_a_scale_is_a_normal_number_however_small_a_row_is() -> None:
    weight = torch.tensor([[1e-42, -3e-43], [0.0, 0.0], [1e-38, 2e-38]])
    found = QuantisedWeight.of(weight, "int8", "w")
    assert found.scale is not None
    assert (found.scale >= torch.finfo(torch.float32).tiny).all()
    assert (found.values[1] == 0).all()
    assert ((found.dequantised() - weight).abs() <= found.scale[:, None] / 2).all()


@pytest.mark.parametrize(("precision", "bits"), [("fp16", 10), ("bf16", 7)])
def test_sixteen_bits_round_to_the_nearest(precision, bits: int) -> None:
    weight = torch.randn(20, 30, generator=torch.Generator().manual_seed(0))
    found = QuantisedWeight.of(weight, precision, "w")
    assert found.values.element_size() == 2
    assert found.scale is None
    assert ((found.dequantised() - weight).abs() <= weight.abs() * 2.0 ** -(bits + 1) + 2.0**-25).all()


def test_a_weight_too_large_for_float16_is_refused_by_name() -> None:
    weight = torch.tensor([[1.0, -7e4]])
    with pytest.raises(ExportError, match=r"encoder\.weight holds 70000; expected at most 65504, the largest fp16"):
        QuantisedWeight.of(weight, "fp16", "encoder.weight")
    assert torch.isfinite(QuantisedWeight.of(weight, "bf16", "encoder.weight").dequantised()).all()
