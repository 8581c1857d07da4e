from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from offbeat.bundle import Manifest
from offbeat.bundle.precision_record import PrecisionRecord
from offbeat.errors import BundleError
from tests.runtime import folders
from tests.runtime.precision_example import RECORD


def _manifest_with(record: Any) -> bytes:
    manifest = json.loads(folders.make_manifest({}).to_json())
    return json.dumps(manifest | {"precision": record}).encode()


def _changed(path: str, value: Any) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(json.dumps(RECORD))
    inside = path.partition(".")[0] in ("latency", "error", "quality")
    *parents, last = (f"engines.onnxruntime.{path}" if inside else path).split(".")
    place: Any = record
    for key in parents:
        place = place[int(key) if key.isdecimal() else key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return record


def test_a_float32_model_has_none_and_a_variant_survives_a_round_trip() -> None:
    assert folders.make_manifest({}).precision is None
    manifest = Manifest.from_json(_manifest_with(RECORD), "here")
    assert manifest.precision == msgspec.convert(RECORD, PrecisionRecord)
    assert Manifest.from_json(manifest.to_json(), "here") == manifest
    assert manifest.precision is not None
    assert manifest.precision.engines["onnxruntime"].quality.roc_auc_loss == pytest.approx(0.01)


ENGINE = RECORD["engines"]["onnxruntime"]
FIGURES = ("decision_agreement", "roc_auc", "fp32_roc_auc", "max_loss")
BAD: list[tuple[str, Any, str]] = [
    ("weights", "fp32", "weights"),
    ("weights", ..., "weights"),
    ("weights", "fp16", "arithmetic"),
    ("integer_quality", 3, "integer_quality"),
    ("arithmetic", "int4", "arithmetic"),
    ("surprise", 1, "surprise"),
    ("source.name", 3, "source.name"),
    ("source.version", 0, "source.version"),
    ("source.weights_sha256", "ab", "source.weights_sha256"),
    ("size.n_bytes", 0, "size.n_bytes"),
    ("size.fp32_n_bytes", -1, "size.fp32_n_bytes"),
    ("engines", {}, "expected onnxruntime among them"),
    ("engines", {"native": ENGINE}, "expected onnxruntime among them"),
    ("engines.onnxruntime", 1, "engines"),
    ("latency", [], "latency is []"),
    ("latency", ENGINE["latency"] * 2, "latency is [1, 1]"),
    ("latency.0.batch", 0, "latency"),
    ("latency.0.median_us", 0, "latency"),
    ("latency.0.fp32_median_us", -1.0, "latency"),
    ("latency.0.ratio", None, "latency"),
    *((f"error.{field}", -0.1, f"error.{field}") for field in ENGINE["error"]),
    ("quality.data", {"name": "x"}, "quality.data"),
    ("quality.unit", "step", "quality.unit"),
    ("quality.n", 0, "quality.n"),
    ("quality.n_anomalous", -1, "quality.n_anomalous"),
    ("quality.n_anomalous", 51, "n_anomalous is 51; expected at most n, 50"),
    ("quality.rank_correlation", 1.1, "quality.rank_correlation"),
    *((f"quality.{field}", 1.1, f"quality.{field}") for field in FIGURES),
    ("quality.vus_pr", 2.0, "quality.vus_pr"),
    ("quality.vus_pr", None, "vus_pr is None; expected a share for rows"),
    ("quality.fp32_vus_pr", -1.0, "quality.fp32_vus_pr"),
    ("quality.unit", "sample", "expected null for samples"),
]


def test_sixteen_bit_weights_have_no_integer_engines() -> None:
    record = _changed("weights", "bf16") | {"arithmetic": "float32"}
    with pytest.raises(BundleError, match=r"precision\.integer_quality is .*; expected that of float32 products"):
        Manifest.from_json(_manifest_with(record), "manifest.json")


@pytest.mark.parametrize(("path", "value", "named"), BAD, ids=[f"{path} {value}" for path, value, _ in BAD])
def test_a_bad_value_is_refused_by_name(path: str, value: Any, named: str) -> None:
    with pytest.raises(BundleError) as caught:
        Manifest.from_json(_manifest_with(_changed(path, value)), "manifest.json")
    assert named in str(caught.value)
