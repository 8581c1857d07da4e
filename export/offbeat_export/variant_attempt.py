"""One variant being made: its graphs are measured, and the best that passes is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from offbeat.backends import Backend
from offbeat.bundle import Manifest, ModelVersion
from offbeat.bundle.manifest import Parity
from offbeat.bundle.model_version import GOLDEN, MODEL_ONNX, MODEL_SAFETENSORS
from offbeat.bundle.precision_record import (
    Arithmetic,
    PrecisionRecord,
    PrecisionSize,
    PrecisionSource,
    WeightPrecision,
)
from offbeat.errors import BackendError, ParityError
from offbeat.result import FloatArray
from offbeat_export.golden import golden_npz, golden_of
from offbeat_export.parity import PARITY_BOUND
from offbeat_export.parity_report import ParityReport
from offbeat_export.precision_latency import BATCH_SIZES, Latencies, latencies
from offbeat_export.quality_data import QualityData
from offbeat_export.quality_measurement import Floats, error_figures, line_errors, quality_figures
from offbeat_export.safetensors_export import export_safetensors
from offbeat_export.scoring_module import ScoringModule
from offbeat_export.variant_candidate import OnnxVariant, VariantGraphs, VariantSource
from offbeat_export.variant_choice import preferred, refusal
from offbeat_export.variant_folder import VariantFolder
from offbeat_export.variant_parity import bound_of, cases_of, check_extreme_decisions, check_float32, integer_parity
from offbeat_export.window_source import WindowSource

_N_GOLDEN = 32
Announce = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class VariantReport:
    """What became of one variant: the folder it was written to, or why it was refused.

    `record` holds the figures of the graph that was taken, or of the last one tried; None where none could be made.
    """

    precision: WeightPrecision
    name: str
    record: PrecisionRecord | None = None
    manifest: Manifest | None = None
    folder: Path | None = None
    refusal: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Float32Model:
    """What all variants of one version are made of, and measured beside.

    `normal` are held-out windows, `errors` [line] those of `data` by `backend`; `calibration` windows are None where
    none were given. All windows are in raw units.
    """

    version: ModelVersion
    module: ScoringModule
    backend: Backend
    normal: FloatArray
    data: QualityData
    errors: Floats
    calibration: FloatArray | None
    max_quality_loss: float

    def windows(self) -> WindowSource:
        """The same windows each time."""
        return WindowSource(self.version.manifest, self.normal)


class VariantAttempt:
    """Makes and measures the graphs of one variant in its staging folder; `stack` closes the backends."""

    def __init__(self, fp32: Float32Model, source: VariantSource, folder: VariantFolder, stack: ExitStack) -> None:
        self._fp32, self._source, self._folder, self._stack = fp32, source, folder, stack
        self._graphs = VariantGraphs(source)
        self._weights = export_safetensors(source.module, source.manifest, source.weights)
        folder.write(MODEL_SAFETENSORS, self._weights)
        folder.write(GOLDEN, golden_npz(source.module, fp32.windows()))

    def run(self, announce: Announce) -> VariantReport:
        """Finishes the folder with the first graph, in the order of preference, that passes; else says why none does."""
        precision, name = self._source.precision, self._source.manifest.name
        announce(f"{precision}: writing model.onnx")
        candidates = {each.arithmetic: each for each in self._graphs.candidates(self._fp32.calibration)}
        backends = {arithmetic: self._load(each.content) for arithmetic, each in candidates.items()}
        announce(f"{precision}: measuring latency")
        measured = latencies(self._fp32.backend, backends, self._fp32.windows().draw("real", max(BATCH_SIZES)))
        reasons = []
        for arithmetic in preferred(measured):
            announce(f"{precision}: judging {arithmetic} arithmetic")
            record = self._record(candidates[arithmetic], backends[arithmetic], measured)
            reason = refusal(record)
            try:
                if reason is None:
                    manifest = self._finish(candidates[arithmetic], backends[arithmetic], record)
                    return VariantReport(precision=precision, name=name, record=record, manifest=manifest)
            except (ParityError, BackendError) as error:
                reason = str(error)
            reasons.append(f"{arithmetic}: {reason}")
        return VariantReport(precision=precision, name=name, record=record, refusal="; ".join(reasons))

    def _load(self, content: bytes) -> Backend:
        return self._stack.enter_context(closing(self._folder.load(content)))

    def _record(
        self, candidate: OnnxVariant, backend: Backend, measured: Mapping[Arithmetic, Latencies]
    ) -> PrecisionRecord:
        fp32, manifest = self._fp32, self._fp32.version.manifest
        errors = line_errors(backend, fp32.data)
        weights = manifest.files[MODEL_SAFETENSORS]
        return PrecisionRecord(
            weights=self._source.precision,
            arithmetic=candidate.arithmetic,
            source=PrecisionSource(name=manifest.name, version=manifest.version, weights_sha256=weights.sha256),
            size=PrecisionSize(
                n_bytes=len(candidate.content) + len(self._weights),
                fp32_n_bytes=manifest.files[MODEL_ONNX].n_bytes + weights.n_bytes,
            ),
            latency=measured[candidate.arithmetic],
            error=error_figures(fp32.errors, errors),
            quality=quality_figures(fp32.data, manifest.threshold.value, fp32.errors, errors, fp32.max_quality_loss),
        )

    def _finish(self, candidate: OnnxVariant, backend: Backend, record: PrecisionRecord) -> Manifest:
        """Raises ParityError or BackendError where the graph is too far from eager."""
        if candidate.arithmetic == "int8-static":
            # Beyond the calibrated range values saturate, which eager's do not: golden windows are real ones.
            window = self._fp32.windows().draw("real", _N_GOLDEN)
            self._folder.write(GOLDEN, golden_of(self._source.module, window))
        if self._source.precision == "int8":
            bound, report = self._integer_bound(candidate, backend)
        else:
            bound, report = PARITY_BOUND, self._check_float32(backend)
        return self._folder.finish(candidate.content, record, bound, report)

    def _check_float32(self, backend: Backend) -> ParityReport:
        return check_float32(self._source.module, self._with_bound(PARITY_BOUND), backend, self._fp32.windows())

    def _integer_bound(self, candidate: OnnxVariant, backend: Backend) -> tuple[float, ParityReport]:
        """The bound of an int8 variant: what engines need that multiply integers, be it this graph or another engine."""
        source = self._source
        backends = {"onnx": backend}
        probe = self._graphs.all_integers()
        if probe is not None:
            backends["int8 activations"] = self._load(probe)
        cases = cases_of(candidate.arithmetic, source.manifest, self._fp32.windows())
        reports = integer_parity(source.module, source.manifest, backends, cases)
        try:
            bound = bound_of(reports)
        except ParityError:
            # No engine can use integers in all layers here; golden replay then keeps those out that do.
            bound = bound_of(reports[:1])
        if candidate.arithmetic == "float32":
            return bound, self._check_float32(backend)
        if candidate.arithmetic == "int8-static":
            check_extreme_decisions(source.module, self._with_bound(bound), backend, self._fp32.windows())
        return bound, reports[0]

    def _with_bound(self, bound: float) -> Manifest:
        return msgspec.structs.replace(self._source.manifest, parity=Parity(bound=bound, formats={}))
