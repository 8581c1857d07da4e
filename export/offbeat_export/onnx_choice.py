"""Which exporter's graph goes into the folder: both are tried, looked over, and put in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import onnx
from torch import nn

from offbeat.bundle.manifest import GraphCandidate, GraphRecord, Manifest
from offbeat.errors import ExportError, require
from offbeat_export.onnx_export import export_onnx
from offbeat_export.onnx_inspection import GraphInspection, inspect_graph
from offbeat_export.onnx_tracing import EXPORTERS, Exporter, traced_sizes

ExporterChoice = Literal["auto", "classic", "dynamo"]


@dataclass(frozen=True, kw_only=True)
class OnnxCandidate:
    """One exporter's `model.onnx`, checked, and what was found in it."""

    exporter: Exporter
    content: bytes
    inspection: GraphInspection


@dataclass(frozen=True, kw_only=True)
class OnnxCandidates:
    """The graphs that passed every check, best first, and what each exporter that failed said."""

    found: tuple[OnnxCandidate, ...]
    refused: dict[Exporter, str]

    def record(self, chosen: OnnxCandidate, reason: str = "") -> GraphRecord:
        """What the manifest says of the choice; `reason` where another than the first was taken, or the rule that put it first."""
        graphs = {
            each.exporter: GraphCandidate(
                opset=each.inspection.opset,
                n_nodes=each.inspection.n_nodes,
                n_lstm_nodes=each.inspection.n_lstm_nodes,
                findings=each.inspection.findings,
            )
            for each in self.found
        }
        failed = {
            name: GraphCandidate(opset=0, n_nodes=0, n_lstm_nodes=0, findings=(message,))
            for name, message in self.refused.items()
        }
        candidates = {str(name): (graphs | failed)[name] for name in EXPORTERS if name in graphs or name in failed}
        return GraphRecord(exporter=chosen.exporter, reason=reason or self._reason(), candidates=candidates)

    def _reason(self) -> str:
        if len(self.found) == 1:
            return "the other exporter failed" if self.refused else "asked for"
        first, second = (each.inspection for each in self.found)
        if len(first.findings) != len(second.findings):
            return f"{len(first.findings)} defects in the graph, {len(second.findings)} in the other"
        if first.n_nodes != second.n_nodes:
            return f"{first.n_nodes} nodes, {second.n_nodes} in the other"
        return f"as many nodes as the other, and the older opset, {first.opset}"


def onnx_candidates(
    module: nn.Module,
    manifest: Manifest,
    choice: ExporterChoice = "auto",
    announce: Callable[[str], None] = lambda step: None,
) -> OnnxCandidates:
    """Exports by both exporters, or by the one that is chosen; fewest defects first, then fewest nodes, then the older opset.

    Raises ConfigurationError for a choice that is none, ExportError where no exporter gives a graph that passes the checks.
    """
    require(choice in ("auto", *EXPORTERS), "exporter", choice, f"auto, {' or '.join(EXPORTERS)}")
    found, refused = [], {}
    for exporter in EXPORTERS if choice == "auto" else (choice,):
        announce(f"writing model.onnx ({exporter} exporter)")
        try:
            found.append(_candidate(module, manifest, exporter))
        except ExportError as error:
            refused[exporter] = str(error)
    if not found:
        raise ExportError("; ".join(refused.values()))
    found.sort(key=lambda each: (len(each.inspection.findings), each.inspection.n_nodes, each.inspection.opset))
    return OnnxCandidates(found=tuple(found), refused=refused)


def _candidate(module: nn.Module, manifest: Manifest, exporter: Exporter) -> OnnxCandidate:
    content = export_onnx(module, manifest, exporter)
    n_layers = sum(each.num_layers for each in module.modules() if isinstance(each, nn.LSTM))
    proto = onnx.shape_inference.infer_shapes(onnx.load_from_string(content), data_prop=True)
    inspection = inspect_graph(proto, n_layers, traced_sizes(module, manifest))
    return OnnxCandidate(exporter=exporter, content=content, inspection=inspection)
