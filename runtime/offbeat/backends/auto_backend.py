"""What `auto` stands for: CUDA where a GPU is usable, else the native core where it agrees, else ONNX Runtime on the CPU."""

from __future__ import annotations

from typing import NamedTuple

from offbeat.backends.base import Backend
from offbeat.backends.golden_replay import replay_golden
from offbeat.backends.native_backend import NativeBackend
from offbeat.backends.onnxruntime_backend import OnnxRuntimeBackend, may_use_cuda
from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from offbeat.errors import FormatAbsentError, MissingExtraError, OffbeatError


class Choice(NamedTuple):
    """A backend, and why it was chosen; `is_alarming` where the native core was there and could not be trusted with the file."""

    backend: Backend
    reason: str
    is_alarming: bool = False


def choose_backend(version: ModelVersion, config: BackendConfig) -> Choice:
    """The first of the three that works. Raises what ONNX Runtime's backend raises where nothing else is left."""
    onnxruntime: OnnxRuntimeBackend | None = None
    if config.device == "cuda" or (config.device == "auto" and may_use_cuda()):
        onnxruntime = OnnxRuntimeBackend(version, config)
        if onnxruntime.is_on_cuda:
            return Choice(onnxruntime, "a GPU is usable")
    try:
        backend = _native(version, config)
    except OffbeatError as error:
        is_alarming = not isinstance(error, MissingExtraError | FormatAbsentError)
        return Choice(onnxruntime or _onnxruntime(version, config, error), f"not native: {error}", is_alarming)
    if onnxruntime is not None:
        onnxruntime.close()
    return Choice(backend, "it replays the golden windows")


def _native(version: ModelVersion, config: BackendConfig) -> Backend:
    backend = NativeBackend(version, config)
    try:
        replay_golden(version, backend)
    except BaseException:
        backend.close()
        raise
    return backend


def _onnxruntime(version: ModelVersion, config: BackendConfig, why_not_native: OffbeatError) -> Backend:
    try:
        return OnnxRuntimeBackend(version, config)
    except MissingExtraError as error:
        if isinstance(why_not_native, FormatAbsentError):
            raise
        raise MissingExtraError(f"{error}; and the native core cannot run it: {why_not_native}") from error
