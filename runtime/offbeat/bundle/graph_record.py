"""How `model.onnx` came to be: which exporter wrote it, and what was found in the graphs of all that were tried."""

from __future__ import annotations

from offbeat.bundle.record import Record
from offbeat.errors import require
from offbeat.provenance import Count


class GraphCandidate(Record, frozen=True, kw_only=True):
    """One exporter's graph, simplified: its size, and a sentence for each defect. All zero where the exporter failed."""

    opset: Count
    n_nodes: Count
    n_lstm_nodes: Count
    findings: tuple[str, ...]


class GraphRecord(Record, frozen=True, kw_only=True):
    """The exporter whose graph is in the folder, the reason for it, and every graph that was looked at, by exporter."""

    exporter: str
    reason: str
    candidates: dict[str, GraphCandidate]

    def __post_init__(self) -> None:
        names = sorted(self.candidates)
        require(self.exporter in self.candidates, "graph.exporter", self.exporter, f"one of the candidates {names}")
