from __future__ import annotations

import numpy as np
import pytest
import torch

from offbeat_export.quantised_initializer import narrow
from offbeat_export.quantised_weight import QuantisedWeight


def _weight(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def _layouts(values: np.ndarray) -> dict[str, np.ndarray]:
    """What exporters make of a matrix [row, column]."""
    order = np.random.default_rng(0).permutation(len(values))
    return {
        "as it is": values,
        "transposed": np.ascontiguousarray(values.T),
        "rows in another order": values[order],
        "one direction of an LSTM": values[None],
    }


@pytest.mark.parametrize("layout", ["as it is", "transposed", "rows in another order", "one direction of an LSTM"])
@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
def test_a_rounded_weight_is_taken_apart_exactly_in_any_layout(precision, layout: str) -> None:
    quantised = QuantisedWeight.of(_weight(12, 7), precision, "w")
    weight = _layouts(quantised.dequantised().numpy())[layout]
    found = narrow(weight, precision, [quantised])
    assert found is not None
    wide = found.values.to(torch.float32).numpy()
    np.testing.assert_array_equal(wide if found.scale is None else wide * found.scale, weight)
    assert found.n_scales() == (12 if precision == "int8" else 0)


@pytest.mark.parametrize("is_transposed", [False, True])
@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
def test_a_factor_that_was_folded_into_each_row_becomes_its_scale(precision, is_transposed: bool) -> None:
    quantised = QuantisedWeight.of(_weight(12, 7), precision, "w")
    folded = quantised.dequantised().numpy() * np.random.default_rng(0).uniform(0.3, 3, (12, 1)).astype(np.float32)
    weight = np.ascontiguousarray(folded.T) if is_transposed else folded
    found = narrow(weight, precision, [QuantisedWeight.of(_weight(7, 7), precision, "other"), quantised])
    assert found is not None
    assert found.scale is not None
    assert found.values.shape == weight.shape
    np.testing.assert_allclose(found.values.to(torch.float32).numpy() * found.scale, weight, rtol=0, atol=1e-6)


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
def test_a_weight_that_was_not_rounded_has_no_narrow_form(precision) -> None:
    quantised = QuantisedWeight.of(_weight(12, 7), precision, "w")
    assert narrow(_weight(12, 7).numpy(), precision, [quantised]) is None
