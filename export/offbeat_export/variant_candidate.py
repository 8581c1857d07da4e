"""The graphs that a variant could have: which of them is worth having is measured."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from offbeat.bundle.manifest import Manifest
from offbeat.bundle.precision_record import Arithmetic, WeightPrecision
from offbeat.result import FloatArray
from offbeat_export.onnx_check import check_onnx
from offbeat_export.onnx_export import export_onnx
from offbeat_export.onnx_tracing import Exporter
from offbeat_export.quantised_graph import Ranges, integer_graph, linear_inputs
from offbeat_export.quantised_lstm import CONTRIB_DOMAIN
from offbeat_export.quantised_ranges import input_ranges
from offbeat_export.scoring_module import ScoringModule
from offbeat_export.variant_onnx import describe_precision, store_weights
from offbeat_export.variant_weights import QuantisedWeights

# A layer with fewer weights spends more on quantising its activations than integers save (docs/precision.md). What is left
# is judged by its measured latency.
WORTHWHILE_ELEMENTS = 2**15
_NO_RANGES: Ranges = {}


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnxVariant:
    """One way to compute: `content` is `model.onnx`."""

    arithmetic: Arithmetic
    content: bytes


@dataclass(frozen=True, kw_only=True, eq=False)
class VariantSource:
    """A scorer whose weights are rounded already, what they are stored as, and the manifest of the folder to be.

    `exporter` is the one of torch's that wrote the float32 graph.
    """

    module: ScoringModule
    manifest: Manifest
    weights: QuantisedWeights
    precision: WeightPrecision
    exporter: Exporter = "classic"


class VariantGraphs:
    """Makes the graphs of one variant. Each is checked; raises ExportError for one that does not pass."""

    def __init__(self, source: VariantSource) -> None:
        self._source = source
        self._float32 = onnx.load_from_string(export_onnx(source.module, source.manifest, source.exporter))

    def candidates(self, calibration: FloatArray | None) -> tuple[OnnxVariant, ...]:
        """Float32 arithmetic first; then, for int8, large layers in integers: static where there are calibration windows.

        `calibration` windows are in raw units.
        """
        found = [OnnxVariant(arithmetic="float32", content=self._finished(self._float32))]
        if self._source.precision != "int8":
            return tuple(found)
        dynamic = integer_graph(self._float32, WORTHWHILE_ELEMENTS)
        if dynamic is not None:
            found.append(OnnxVariant(arithmetic="int8-dynamic", content=self._finished(dynamic)))
        ranges = _NO_RANGES if calibration is None else self._ranges(calibration)
        static = integer_graph(self._float32, WORTHWHILE_ELEMENTS, ranges) if ranges else None
        if static is not None:
            found.append(OnnxVariant(arithmetic="int8-static", content=self._finished(static)))
        return tuple(found)

    def all_integers(self) -> bytes | None:
        """Every layer in integers, worthwhile or not: what any engine may do with int8 weights. None where none can be."""
        graph = integer_graph(self._float32, 1) if self._source.precision == "int8" else None
        return None if graph is None else self._finished(graph)

    def _ranges(self, calibration: FloatArray) -> Ranges:
        return input_ranges(self._float32, linear_inputs(self._float32, WORTHWHILE_ELEMENTS), calibration)

    def _finished(self, graph: onnx.ModelProto) -> bytes:
        source = self._source
        stored = store_weights(graph, source.precision, source.weights.values())
        describe_precision(stored, source.precision)
        check_onnx(stored, source.manifest, domains=(CONTRIB_DOMAIN,) if source.precision == "int8" else ())
        content: bytes = stored.SerializeToString(deterministic=True)
        return content
