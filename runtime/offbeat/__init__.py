"""offbeat: anomaly scores from reconstruction autoencoders, the same on every backend.

import offbeat

scorer = offbeat.load("models/server-metrics")
scorer.score(windows).is_anomaly
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from offbeat.bundle import Manifest, ModelRepository, ModelVersion
from offbeat.errors import OffbeatError
from offbeat.result import ScoreResult, Threshold
from offbeat.scorer import Scorer, load

if TYPE_CHECKING:
    from offbeat.bulk import score_table
    from offbeat.client import AsyncClient, Client

__all__ = [
    "AsyncClient",
    "Client",
    "Manifest",
    "ModelRepository",
    "ModelVersion",
    "OffbeatError",
    "ScoreResult",
    "Scorer",
    "Threshold",
    "load",
    "score_table",
]

__version__ = version("offbeat")


def __getattr__(name: str) -> Any:
    """Imported when first asked for: the clients bring grpc along, which scoring does not need, and tables their readers."""
    if name == "score_table":
        from offbeat import bulk

        return bulk.score_table
    if name in ("AsyncClient", "Client"):
        from offbeat import client

        return getattr(client, name)
    raise AttributeError(f"module 'offbeat' has no attribute {name!r}")
