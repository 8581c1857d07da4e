"""What the manifest of a variant says of its precision."""

from __future__ import annotations

from typing import Any

_QUALITY: dict[str, Any] = {
    "data": {"name": "labelled.csv", "sha256": None, "n_rows": 50},
    "unit": "row",
    "n": 50,
    "n_anomalous": 5,
    "decision_agreement": 0.98,
    "rank_correlation": 0.999,
    "roc_auc": 0.95,
    "fp32_roc_auc": 0.96,
    "vus_pr": 0.4,
    "fp32_vus_pr": 0.41,
    "max_loss": 0.02,
}

_ENGINE: dict[str, Any] = {
    "latency": [{"batch": 1, "median_us": 20.0, "fp32_median_us": 40.0, "ratio": 0.5}],
    "error": {"max_absolute": 0.1, "mean_absolute": 0.01, "max_relative": 0.02, "mean_relative": 0.002},
    "quality": _QUALITY,
}

RECORD: dict[str, Any] = {
    "weights": "int8",
    "arithmetic": "int8-dynamic",
    "source": {"name": "pumps", "version": 3, "weights_sha256": "ab" * 32},
    "size": {"n_bytes": 30, "fp32_n_bytes": 100},
    "engines": {"onnxruntime": _ENGINE},
    "integer_quality": _QUALITY,
}
