"""A variant judged beside its float32 model: errors, quality, and how far its engines may be from its own eager run."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from offbeat.backends import Backend
from offbeat.bundle import Manifest, ModelVersion
from offbeat.bundle.manifest import Parity
from offbeat.bundle.precision_record import Arithmetic, EngineFigures, PrecisionError, PrecisionQuality
from offbeat.errors import ParityError
from offbeat.result import FloatArray
from offbeat_export.parity import PARITY_BOUND
from offbeat_export.parity_report import ParityReport
from offbeat_export.precision_latency import Latencies
from offbeat_export.quality_data import QualityData
from offbeat_export.quality_measurement import Floats, error_figures, line_errors, quality_figures
from offbeat_export.scoring_module import ScoringModule
from offbeat_export.variant_candidate import VariantSource
from offbeat_export.variant_parity import bound_of, cases_of, check_extreme_decisions, check_float32, integer_parity
from offbeat_export.window_source import WindowSource


@dataclass(frozen=True, kw_only=True, eq=False)
class Float32Model:
    """What all variants of one version are made of, and measured beside.

    `normal` are held-out windows, `errors` [line] those of `data` by `backend`, which is ONNX Runtime; `calibration` windows
    are None where none were given, and `native` where that core is not built or does not take the model. All windows are in
    raw units.
    """

    version: ModelVersion
    module: ScoringModule
    backend: Backend
    normal: FloatArray
    data: QualityData
    errors: Floats
    calibration: FloatArray | None
    max_quality_loss: float
    native: Backend | None = None

    def windows(self) -> WindowSource:
        """The same windows each time."""
        return WindowSource(self.version.manifest, self.normal)

    def judge(self, backend: Backend) -> tuple[PrecisionError, PrecisionQuality]:
        """The errors and the quality of another engine beside these."""
        errors = line_errors(backend, self.data)
        threshold = self.version.manifest.threshold.value
        quality = quality_figures(self.data, threshold, self.errors, errors, self.max_quality_loss)
        return error_figures(self.errors, errors), quality

    def figures(self, backend: Backend, latency: Latencies) -> EngineFigures:
        """All that the manifest says of an engine whose latency was measured."""
        error, quality = self.judge(backend)
        return EngineFigures(latency=latency, error=error, quality=quality)


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far engines may be from the variant's eager run, the parity of its `model.onnx`, and what `bound` lets in.

    `integer_quality` is that of an engine which multiplies integers in all layers; None where the bound keeps such out.
    """

    bound: float
    report: ParityReport
    integer_quality: PrecisionQuality | None = None


def tolerance_of(
    fp32: Float32Model, source: VariantSource, arithmetic: Arithmetic, backend: Backend, integers: Backend | None
) -> Tolerance:
    """Measures parity. `backend` runs the graph that computes in `arithmetic`, `integers` one with all layers in integers.

    16 bits get float32's bound. int8 weights are there for integer products: engines other than ONNX Runtime may choose them
    too, so the bound has room for them, as long as their quality is allowed. Raises ParityError where `backend` itself is too far.
    """
    if source.precision != "int8":
        return Tolerance(bound=PARITY_BOUND, report=_strict(fp32, source, backend))
    cases = tuple(cases_of(arithmetic, source.manifest, fp32.windows()))
    (own,) = integer_parity(source.module, source.manifest, {"onnx": backend}, cases)
    bound, quality = bound_of((own,)), None
    if integers is not None:
        _, quality = fp32.judge(integers)
        others = integer_parity(source.module, source.manifest, {"integers in all layers": integers}, cases)
        try:
            bound = max(bound, bound_of(others)) if quality.is_allowed else bound
        except ParityError:
            quality = None
    if arithmetic == "int8-static":
        check_extreme_decisions(source.module, _with_bound(source.manifest, bound), backend, fp32.windows())
    report = _strict(fp32, source, backend) if arithmetic == "float32" else own
    is_let_in = quality is not None and quality.is_allowed
    return Tolerance(bound=bound, report=report, integer_quality=quality if is_let_in else None)


def _strict(fp32: Float32Model, source: VariantSource, backend: Backend) -> ParityReport:
    return check_float32(source.module, _with_bound(source.manifest, PARITY_BOUND), backend, fp32.windows())


def _with_bound(manifest: Manifest, bound: float) -> Manifest:
    return msgspec.structs.replace(manifest, parity=Parity(bound=bound, formats={}))
