from __future__ import annotations

import msgspec
import pytest

from offbeat.bundle.precision_record import EngineFigures, PrecisionLatency, PrecisionRecord
from offbeat_export.variant_choice import preferred, refusal
from tests.runtime.precision_example import RECORD


def _latency(*ratios: float) -> tuple[PrecisionLatency, ...]:
    batches = (1, 64)
    return tuple(
        PrecisionLatency(batch=batch, median_us=ratio * 100, fp32_median_us=100.0, ratio=ratio)
        for batch, ratio in zip(batches, ratios, strict=True)
    )


def _record(n_bytes: int = 50, ratio: float = 1.0, roc_auc: float = 0.96, **others: EngineFigures) -> PrecisionRecord:
    record = msgspec.convert(RECORD, PrecisionRecord)
    size = msgspec.structs.replace(record.size, n_bytes=n_bytes, fp32_n_bytes=100)
    return msgspec.structs.replace(record, size=size, engines={"onnxruntime": _engine(ratio, roc_auc), **others})


def _engine(ratio: float = 1.0, roc_auc: float = 0.96) -> EngineFigures:
    figures = msgspec.convert(RECORD, PrecisionRecord).engines["onnxruntime"]
    quality = msgspec.structs.replace(figures.quality, roc_auc=roc_auc, fp32_roc_auc=0.96, max_loss=0.005)
    return msgspec.structs.replace(figures, quality=quality, latency=_latency(ratio, 1.0))


@pytest.mark.parametrize(
    ("dynamic", "static", "expected"),
    [
        ((0.3, 0.9), (0.5, 0.9), ("int8-dynamic", "int8-static", "float32")),
        ((0.3, 0.9), (0.1, 0.5), ("int8-static", "int8-dynamic", "float32")),
        ((0.95, 0.95), (0.98, 1.0), ("float32",)),
        ((0.3, 1.3), (2.0, 2.0), ("float32",)),
    ],
)
def test_integers_have_to_be_a_tenth_faster_and_never_slower(
    dynamic: tuple[float, float], static: tuple[float, float], expected: tuple[str, ...]
) -> None:
    measured = {
        "float32": _latency(1.0, 1.0),
        "int8-dynamic": _latency(*dynamic),
        "int8-static": _latency(*static),
    }
    assert preferred(measured) == expected


def test_a_variant_that_is_smaller_or_faster_and_as_good_is_not_refused() -> None:
    assert refusal(_record(n_bytes=95)) is None
    assert refusal(_record(n_bytes=120, ratio=0.9)) is None
    assert refusal(_record(roc_auc=0.9551)) is None
    assert refusal(_record(roc_auc=0.99)) is None
    assert refusal(_record(n_bytes=120, native=_engine(ratio=0.5))) is None


def test_a_variant_that_is_neither_is_refused_with_its_figures() -> None:
    reason = refusal(_record(n_bytes=96, ratio=0.97))
    assert reason is not None
    assert (
        "neither smaller nor faster: 96 bytes, float32 100; at best 0.97 of float32's latency, on onnxruntime" in reason
    )


def test_a_variant_that_detects_worse_is_refused_with_its_figures() -> None:
    reason = refusal(_record(roc_auc=0.9549))
    assert reason == "ROC-AUC on onnxruntime falls by 0.0051, from 0.9600 to 0.9549; expected at most 0.005"
    assert "ROC-AUC on native falls by 0.0600" in str(refusal(_record(native=_engine(roc_auc=0.9))))
