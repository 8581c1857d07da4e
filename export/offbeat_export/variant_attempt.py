"""One variant being made: its graphs are measured, and the best that passes is kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from offbeat.backends import Backend
from offbeat.bundle import Manifest
from offbeat.bundle.model_version import GOLDEN, MODEL_ONNX, MODEL_SAFETENSORS
from offbeat.bundle.precision_record import (
    Arithmetic,
    EngineFigures,
    PrecisionRecord,
    PrecisionSize,
    PrecisionSource,
    WeightPrecision,
)
from offbeat.errors import BackendError, ParityError
from offbeat.result import FloatArray
from offbeat_export.golden import N_WINDOWS, golden_npz, golden_of
from offbeat_export.precision_latency import BATCH_SIZES, latencies
from offbeat_export.safetensors_export import export_safetensors
from offbeat_export.variant_candidate import OnnxVariant, VariantGraphs, VariantSource
from offbeat_export.variant_choice import preferred, refusal
from offbeat_export.variant_folder import VariantFolder
from offbeat_export.variant_judgement import Float32Model, tolerance_of

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


class VariantAttempt:
    """Makes and measures the graphs of one variant in its staging folder; `stack` closes the backends."""

    def __init__(self, fp32: Float32Model, source: VariantSource, folder: VariantFolder, stack: ExitStack) -> None:
        self._fp32, self._source, self._folder, self._stack = fp32, source, folder, stack
        self._graphs = VariantGraphs(source)
        self._weights = export_safetensors(source.module, source.manifest, source.weights)
        folder.write(MODEL_SAFETENSORS, self._weights)
        folder.write(GOLDEN, self._golden("float32"))

    def run(self, announce: Announce) -> VariantReport:
        """Finishes the folder with the first graph, in the order of preference, that passes; else says why none does."""
        precision, name = self._source.precision, self._source.manifest.name
        announce(f"{precision}: writing model.onnx")
        candidates = {each.arithmetic: each for each in self._graphs.candidates(self._fp32.calibration)}
        backends = {arithmetic: self._load(each.content) for arithmetic, each in candidates.items()}
        announce(f"{precision}: measuring latency")
        measured = latencies(self._fp32.backend, backends, self._timed)
        reasons = []
        for arithmetic in preferred(measured):
            announce(f"{precision}: judging {arithmetic} arithmetic")
            backend = backends[arithmetic]
            record = self._record(candidates[arithmetic], self._fp32.figures(backend, measured[arithmetic]))
            reason = refusal(record)
            try:
                if reason is None:
                    return self._finish(candidates[arithmetic], backend, record)
            except (ParityError, BackendError) as error:
                reason = str(error)
            reasons.append(f"{arithmetic}: {reason}")
        return VariantReport(precision=precision, name=name, record=record, refusal="; ".join(reasons))

    @property
    def _timed(self) -> FloatArray:
        return self._fp32.windows().draw("real", max(BATCH_SIZES))

    def _load(self, content: bytes) -> Backend:
        return self._stack.enter_context(closing(self._folder.load(content)))

    def _record(self, candidate: OnnxVariant, figures: EngineFigures) -> PrecisionRecord:
        manifest = self._fp32.version.manifest
        weights = manifest.files[MODEL_SAFETENSORS]
        return PrecisionRecord(
            weights=self._source.precision,
            arithmetic=candidate.arithmetic,
            source=PrecisionSource(name=manifest.name, version=manifest.version, weights_sha256=weights.sha256),
            size=PrecisionSize(
                n_bytes=len(candidate.content) + len(self._weights),
                fp32_n_bytes=manifest.files[MODEL_ONNX].n_bytes + weights.n_bytes,
            ),
            engines={"onnxruntime": figures},
        )

    def _finish(self, candidate: OnnxVariant, backend: Backend, record: PrecisionRecord) -> VariantReport:
        """Raises ParityError or BackendError where the graph is too far from eager."""
        integers = self._graphs.all_integers()
        probe = None if integers is None else self._load(integers)
        tolerance = tolerance_of(self._fp32, self._source, candidate.arithmetic, backend, probe)
        self._folder.write(GOLDEN, self._golden(candidate.arithmetic))
        self._folder.write(MODEL_ONNX, candidate.content)
        record = msgspec.structs.replace(record, integer_quality=tolerance.integer_quality)
        manifest = self._folder.finish(record, tolerance.bound, tolerance.report)
        record = msgspec.structs.replace(record, engines=record.engines | self._native())
        reason = refusal(record)
        if reason is None:
            manifest = self._folder.finish(record, tolerance.bound, tolerance.report)
        return VariantReport(
            precision=self._source.precision,
            name=manifest.name,
            record=record,
            manifest=manifest if reason is None else None,
            refusal=reason,
        )

    def _native(self) -> dict[str, EngineFigures]:
        """Figures of the native core, where it takes both models and gives the golden outputs again."""
        native = None if self._fp32.native is None else self._folder.replayed("native")
        if native is None or self._fp32.native is None:
            return {}
        self._stack.enter_context(closing(native))
        (latency,) = latencies(self._fp32.native, {"float32": native}, self._timed).values()
        return {"native": self._fp32.figures(native, latency)}

    def _golden(self, arithmetic: Arithmetic) -> bytes:
        """Beyond their range static scales saturate, which eager does not: golden windows are real ones there."""
        windows, module = self._fp32.windows(), self._source.module
        return (
            golden_of(module, windows.draw("real", N_WINDOWS))
            if arithmetic == "int8-static"
            else golden_npz(module, windows)
        )
