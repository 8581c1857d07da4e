"""What a backend is: an engine that runs one model version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from offbeat.result import FloatArray


class Backend(Protocol):
    """Runs the whole scorer of one model version. Safe to call from several threads at once."""

    @property
    def name(self) -> str:
        """The registered name, for example `onnxruntime`."""
        ...

    @property
    def description(self) -> str:
        """Name and device as told to the caller, for example `onnxruntime (CPUExecutionProvider)`."""
        ...

    def run(self, window: FloatArray, outputs: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """Computes the outputs asked for, and no others.

        `window` is C-contiguous float32 [batch, time, feature] or [batch, feature], already validated.
        Raises BackendError when the engine fails.
        """
        ...

    def close(self) -> None:
        """Gives the engine's memory back. The backend must not be used afterwards."""
        ...


class BackendFactory(Protocol):
    """How a backend is made: the value of an entry point of the group `offbeat.backends`."""

    def __call__(self, version: ModelVersion, config: BackendConfig) -> Backend:
        """Loads the version. Raises BackendError where the engine refuses it, ConfigurationError for a device it lacks."""
        ...
