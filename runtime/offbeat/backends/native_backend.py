"""The native core: `model.safetensors` on fused kernels for the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from offbeat import native
from offbeat.bundle import ModelVersion
from offbeat.bundle.model_version import MODEL_SAFETENSORS
from offbeat.config import BackendConfig
from offbeat.errors import BackendError, BundleError, ConfigurationError, MissingExtraError
from offbeat.result import FloatArray

if TYPE_CHECKING:
    from offbeat.native import Session


class NativeBackend:
    """Runs `model.safetensors`. One session, safe to call from several threads; each call computes on `n_threads`.

    A call of more than some 100 µs releases the interpreter's lock. Raises MissingExtraError where the core was not built,
    FormatAbsentError for a folder without the file, BundleError where its shapes are not the manifest's, BackendError where
    the core refuses it, ConfigurationError for a device or an instruction set that it does not have.
    """

    name = "native"

    def __init__(self, version: ModelVersion, config: BackendConfig) -> None:
        if reason := native.why_missing():
            raise MissingExtraError(f"backend 'native': {reason}")
        if config.device == "cuda":
            raise ConfigurationError("device is 'cuda', but the native core computes on the CPU; expected auto or cpu")
        session = _open_session(version, config)
        self._session: Session | None = session
        self.description = f"{self.name} ({session.isa})"
        _check_signature(session, version)

    @property
    def session(self) -> Session | None:
        """The session itself, for who scores without arrays; None once closed."""
        return self._session

    def run(self, window: FloatArray, outputs: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """Computes the outputs asked for. `window` is C-contiguous float32. Raises BackendError."""
        session = self._session
        if session is None:
            raise BackendError(f"{self.description}: closed")
        try:
            return session.score(window, outputs)
        except (ValueError, TypeError) as error:
            raise BackendError(f"{self.description}: {error}") from error

    def close(self) -> None:
        """Frees the session; a second call does nothing, and `run` raises BackendError from then on."""
        self._session = None


def _open_session(version: ModelVersion, config: BackendConfig) -> Session:
    # The very bytes whose digest was checked: what lies under that name could be another file by now.
    content = version.read(MODEL_SAFETENSORS)
    where = str(version.path / MODEL_SAFETENSORS)
    isa = "" if config.isa == "auto" else config.isa
    try:
        return native.Session.parse(content, where, isa=isa, n_threads=config.n_threads)
    except ValueError as error:
        raise BackendError(f"the native core refuses it: {error}") from error


def _check_signature(session: Session, version: ModelVersion) -> None:
    """The plan's input, outputs and threshold must be the manifest's, which callers read."""
    manifest = version.manifest
    where = version.path / MODEL_SAFETENSORS
    expected: tuple[int | str, ...] = ("batch", session.n_features)
    if session.has_time:
        expected = ("batch", session.n_steps or "time", session.n_features)
    if manifest.window_shape != expected:
        raise BundleError(f"{where}: windows are {list(expected)}; manifest.json says {list(manifest.window_shape)}")
    if set(session.output_names) != set(manifest.output_names):
        raise BundleError(
            f"{where}: gives {', '.join(session.output_names)}; manifest.json says {', '.join(manifest.output_names)}"
        )
    if session.threshold != float(np.float32(manifest.threshold.value)):
        raise BundleError(
            f"{where}: threshold is {session.threshold!r}; manifest.json says {manifest.threshold.value!r}"
        )
