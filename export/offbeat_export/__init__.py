"""From checkpoints to model version folders: export, parity, and torch's own backends.

Nothing is imported before it is asked for: the command line looks into this package without waiting for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from offbeat_export.exporter import ExportReport, export_checkpoint
    from offbeat_export.parity import PARITY_BOUND
    from offbeat_export.parity_report import ParityReport
    from offbeat_export.recalibration import recalibrate
    from offbeat_export.scoring_module import ScoringModule
    from offbeat_export.variant_attempt import VariantReport
    from offbeat_export.variant_export import export_variants

__all__ = [
    "PARITY_BOUND",
    "ExportReport",
    "ParityReport",
    "ScoringModule",
    "VariantReport",
    "export_checkpoint",
    "export_variants",
    "recalibrate",
]

_HOMES = {
    "PARITY_BOUND": "parity",
    "ExportReport": "exporter",
    "ParityReport": "parity_report",
    "ScoringModule": "scoring_module",
    "VariantReport": "variant_attempt",
    "export_checkpoint": "exporter",
    "export_variants": "variant_export",
    "recalibrate": "recalibration",
}


def __getattr__(name: str) -> Any:
    """Imports a name of `__all__` when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'offbeat_export' has no attribute {name!r}")
    return getattr(import_module(f"offbeat_export.{_HOMES[name]}"), name)
