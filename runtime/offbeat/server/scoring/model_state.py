"""How far a version is on its way."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class ModelState(StrEnum):
    """Triton's words. A version that is unavailable was unloaded or refused; the reason says which."""

    LOADING = "LOADING"
    READY = "READY"
    UNLOADING = "UNLOADING"
    UNAVAILABLE = "UNAVAILABLE"


class VersionStatus(NamedTuple):
    """A version, its state, and why it is not ready; `version` 0 stands for the model as a whole."""

    name: str
    version: int
    state: ModelState
    reason: str = ""
