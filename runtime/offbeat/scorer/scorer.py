"""Scores windows in this process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offbeat.backends import Backend, create_backend, replay_golden
from offbeat.bundle import Manifest, ModelVersion, open_version
from offbeat.config import BackendConfig
from offbeat.result import DEFAULT_OUTPUTS, P_VALUE, FloatArray, ScoreResult
from offbeat.scorer.checks import check_outputs, check_shape, check_windows

# Rows given to the engine at once: enough to be fast, few enough that a large call needs little memory.
_MAX_ROWS_AT_ONCE = 512
_ERROR = "reconstruction_error"


class Scorer:
    """One model version on one backend. Safe to use from several threads at once; a context manager.

    `manifest` describes the model, `backend` is the engine.
    """

    def __init__(self, manifest: Manifest, backend: Backend) -> None:
        self.manifest = manifest
        self.backend = backend

    @classmethod
    def open(cls, version: ModelVersion, config: BackendConfig | None = None) -> Scorer:
        """Loads the version into a backend and replays its golden windows there.

        Raises BackendError where the backend's outputs are not the eager model's within the manifest's parity bound, and
        what `create_backend` raises.
        """
        backend = create_backend(version, config)
        try:
            replay_golden(version, backend)
        except BaseException:
            backend.close()
            raise
        return cls(version.manifest, backend)

    def check_windows(self, windows: ArrayLike) -> FloatArray:
        """The windows as C-contiguous float32, [batch, time, feature] or [batch, feature]. Raises InvalidWindowError."""
        return check_windows(self.manifest, windows)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raises InvalidWindowError for a shape that `check_windows` would not pass."""
        check_shape(self.manifest, shape)

    def check_outputs(self, outputs: Sequence[str]) -> tuple[str, ...]:
        """The outputs to compute; none given stands for the default ones. Raises InvalidWindowError."""
        return check_outputs(self.manifest, outputs)

    def run(self, windows: FloatArray, outputs: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """Computes outputs of windows that `check_windows` has passed, in one call of the backend. Raises BackendError."""
        calibration = self.manifest.threshold.calibration
        if P_VALUE not in outputs or calibration is None:
            return self.backend.run(windows, outputs)
        of_graph = dict.fromkeys((*outputs, _ERROR))
        del of_graph[P_VALUE]
        results = dict(self.backend.run(windows, tuple(of_graph)))
        results[P_VALUE] = calibration.p_values(results[_ERROR].astype(np.float32)).astype(np.float32)
        return {name: results[name] for name in outputs}

    def score(self, windows: ArrayLike, outputs: Sequence[str] = DEFAULT_OUTPUTS) -> ScoreResult:
        """Scores windows in raw units, [batch, time, feature], or [batch, feature] for a tabular model.

        A row's scores do not depend on the other rows. Raises InvalidWindowError for windows or outputs that do not fit
        the model, for NaN and for infinity; BackendError when the engine fails.
        """
        checked, names = self.check_windows(windows), self.check_outputs(outputs)
        parts = [
            self.run(checked[start : start + _MAX_ROWS_AT_ONCE], names)
            for start in range(0, len(checked), _MAX_ROWS_AT_ONCE)
        ]
        arrays = (
            parts[0] if len(parts) == 1 else {name: np.concatenate([part[name] for part in parts]) for name in names}
        )
        return ScoreResult(
            model=self.manifest.name, version=self.manifest.version, backend=self.backend.description, **arrays
        )

    def close(self) -> None:
        """Frees the engine."""
        self.backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def load(
    path: str | os.PathLike[str], *, backend: str = "auto", device: str = "auto", n_threads: int = 1, isa: str = "auto"
) -> Scorer:
    """Opens a model version folder for scoring in this process.

    `path` may also be a model's folder (its newest version) or a repository that holds one model. Raises BundleError for
    a folder that is not what its manifest says, and what `Scorer.open` raises. `isa` names an instruction set of the native core.

        scorer = offbeat.load("models/server-metrics")
        result = scorer.score(windows)          # float32 [batch, time, feature], raw units
        result.is_anomaly                       # bool [batch]
    """
    config = BackendConfig(backend=backend, device=device, n_threads=n_threads, isa=isa)  # type: ignore[arg-type]
    return Scorer.open(open_version(path), config)
