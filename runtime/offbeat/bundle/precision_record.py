"""What a variant of lower precision is, where it comes from, and what was measured of it beside its float32 model."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from offbeat.bundle.record import Record, Size
from offbeat.errors import require
from offbeat.provenance import Count, DataSource, Digest

# How weights are stored; and in what the products of the ONNX file are computed.
WeightPrecision = Literal["fp16", "bf16", "int8"]
Arithmetic = Literal["float32", "int8-dynamic", "int8-static"]

Figure = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Duration = Annotated[float, Meta(gt=0)]
Correlation = Annotated[float, Meta(ge=-1, le=1)]


class PrecisionSource(Record, frozen=True, kw_only=True):
    """The float32 version that a variant was made of; the digest is that of its `model.safetensors`."""

    name: str
    version: Size
    weights_sha256: Digest


class PrecisionSize(Record, frozen=True, kw_only=True):
    """Bytes of `model.onnx` and `model.safetensors` together."""

    n_bytes: Size
    fp32_n_bytes: Size


class PrecisionLatency(Record, frozen=True, kw_only=True):
    """Median microseconds of one call beside float32's, taken in turns; `ratio` is the median of each turn's ratio."""

    batch: Size
    median_us: Duration
    fp32_median_us: Duration
    ratio: Duration


class PrecisionError(Record, frozen=True, kw_only=True):
    """|error − float32's error| over what was judged, absolute and as a share of float32's."""

    max_absolute: Figure
    mean_absolute: Figure
    max_relative: Figure
    mean_relative: Figure


class PrecisionQuality(Record, frozen=True, kw_only=True):
    """What detection loses. `data` is labelled data; None for anomalies planted in validation windows.

    `n` rows, windows or samples were judged, as `unit` says. `vus_pr` is there for rows, which have an order in time.
    `max_loss` is the largest loss of ROC-AUC that was allowed.
    """

    data: DataSource | None
    unit: Literal["row", "window", "sample"]
    n: Size
    n_anomalous: Count
    decision_agreement: Share
    rank_correlation: Correlation
    roc_auc: Share
    fp32_roc_auc: Share
    vus_pr: Share | None
    fp32_vus_pr: Share | None
    max_loss: Share

    def __post_init__(self) -> None:
        require(self.n_anomalous <= self.n, "n_anomalous", self.n_anomalous, f"at most n, {self.n}")
        has_vus_pr = self.unit == "row"
        for field in ("vus_pr", "fp32_vus_pr"):
            value = getattr(self, field)
            expected = "a share for rows" if has_vus_pr else f"null for {self.unit}s, which have no order in time"
            require((value is not None) == has_vus_pr, field, value, expected)

    @property
    def is_allowed(self) -> bool:
        """Whether the loss of ROC-AUC is at most the one allowed."""
        return self.roc_auc_loss <= self.max_loss

    @property
    def roc_auc_loss(self) -> float:
        """How much ROC-AUC is lost; negative where it grew."""
        return self.fp32_roc_auc - self.roc_auc


class EngineFigures(Record, frozen=True, kw_only=True):
    """What was measured of one backend on this machine: `latency` beside the same backend with float32 weights."""

    latency: tuple[PrecisionLatency, ...]
    error: PrecisionError
    quality: PrecisionQuality

    def __post_init__(self) -> None:
        batches = [figures.batch for figures in self.latency]
        is_listed_once = 0 < len(batches) == len(set(batches))
        require(is_listed_once, "latency", batches, "at least one batch size, each once")


class PrecisionRecord(Record, frozen=True, kw_only=True):
    """A variant: `weights` are stored so, and `model.onnx` multiplies so. docs/precision.md says how each figure is taken.

    `engines` holds figures by backend: always `onnxruntime`, and `native` where that was built. `integer_quality` is
    that of an engine which multiplies 8-bit integers in all layers, where the parity bound has room for such.
    """

    weights: WeightPrecision
    arithmetic: Arithmetic
    source: PrecisionSource
    size: PrecisionSize
    engines: dict[str, EngineFigures]
    integer_quality: PrecisionQuality | None = None

    def __post_init__(self) -> None:
        is_int8 = self.weights == "int8"
        for field, is_plain in (
            ("arithmetic", self.arithmetic == "float32"),
            ("integer_quality", self.integer_quality is None),
        ):
            value, expected = getattr(self, field), f"that of float32 products for weights in {self.weights}"
            require(is_plain or is_int8, f"precision.{field}", value, expected)
        names = sorted(self.engines)
        require("onnxruntime" in names, "precision.engines", names, "onnxruntime among them")
