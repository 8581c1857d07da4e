"""ONNX Runtime on the CPU: the standard backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from offbeat.backends.onnxruntime_session import CPU_PROVIDER, create_session, import_onnxruntime, run_options
from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from offbeat.errors import BackendError
from offbeat.result import FloatArray

if TYPE_CHECKING:
    import onnxruntime


class OnnxRuntimeBackend:
    """Runs `model.onnx` on the CPU. One session, safe to call from several threads; each call computes on `n_threads`.

    Raises MissingExtraError without onnxruntime, BundleError for a graph whose inputs and outputs are not the manifest's,
    BackendError where ONNX Runtime refuses the graph.
    """

    name = "onnxruntime"
    description = f"{name} ({CPU_PROVIDER})"

    def __init__(self, version: ModelVersion, config: BackendConfig) -> None:
        ort = import_onnxruntime()
        self._run_options = run_options(ort)
        self._session: onnxruntime.InferenceSession | None = create_session(ort, version, config, [CPU_PROVIDER])

    def run(self, window: FloatArray, outputs: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """Computes the outputs asked for. `window` is C-contiguous float32. Raises BackendError."""
        session = self._session
        if session is None:
            raise BackendError(f"{self.description}: closed")
        try:
            arrays = session.run(outputs, {"window": window}, self._run_options)
        # ONNX Runtime's exceptions have no base of their own.
        except Exception as error:
            raise BackendError(f"{self.description}: {error}") from error
        return dict(zip(outputs, arrays, strict=True))

    def close(self) -> None:
        """Frees the session; a second call does nothing, and `run` raises BackendError from then on."""
        self._session = None
