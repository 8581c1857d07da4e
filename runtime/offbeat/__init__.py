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
]

__version__ = version("offbeat")


def __getattr__(name: str) -> Any:
    """The clients are imported when they are first asked for: they bring grpc along, which scoring does not need."""
    if name in ("AsyncClient", "Client"):
        from offbeat import client

        return getattr(client, name)
    raise AttributeError(f"module 'offbeat' has no attribute {name!r}")
