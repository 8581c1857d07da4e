"""What `auto` stands for: CUDA where a GPU is usable, else the native core where it agrees, else ONNX Runtime on the CPU."""

from __future__ import annotations

import logging
from functools import cache
from typing import NamedTuple

from offbeat.backends.base import Backend
from offbeat.backends.golden_replay import replay_golden
from offbeat.backends.gpu_opening import open_gpu
from offbeat.backends.gpu_provider import GpuProvider, offers_cuda
from offbeat.backends.native_backend import NativeBackend
from offbeat.backends.onnxruntime_backend import OnnxRuntimeBackend
from offbeat.bundle import ModelVersion
from offbeat.bundle.model_version import MODEL_ONNX
from offbeat.config import BackendConfig
from offbeat.errors import FormatAbsentError, MissingExtraError, OffbeatError

_log = logging.getLogger(__name__)


class Choice(NamedTuple):
    """A backend, and why it was chosen; `is_alarming` where the native core was there and could not be trusted with the file."""

    backend: Backend
    reason: str
    is_alarming: bool = False


def choose_backend(version: ModelVersion, config: BackendConfig) -> Choice:
    """The first of the three that works. Raises what ONNX Runtime's backend raises where nothing else is left, and what the
    native core's raises where its instruction set was named.
    """
    if cuda := cuda_if_usable(version, config):
        return Choice(cuda, "a GPU is usable")
    try:
        backend = _native(version, config)
    except OffbeatError as error:
        is_alarming = not isinstance(error, MissingExtraError | FormatAbsentError)
        if is_alarming and config.isa != "auto":  # asked for by name: that one or an error
            raise
        return Choice(_onnxruntime(version, config, error), f"not native: {error}", is_alarming)
    return Choice(backend, "it replays the golden windows")


def open_onnxruntime(version: ModelVersion, config: BackendConfig) -> Backend:
    """ONNX Runtime on CUDA where a GPU is usable and `device` is not cpu, else on the CPU. Raises what those raise."""
    return cuda_if_usable(version, config) or OnnxRuntimeBackend(version, config)


def cuda_if_usable(version: ModelVersion, config: BackendConfig) -> Backend | None:
    """ONNX Runtime on CUDA; None where that is not wanted, not installed, or, with one warning, does not work.

    With device `cuda` there is no None: raises what `open_gpu` raises.
    """
    if config.device == "cuda":
        return _required(version, config)
    if config.device == "cpu" or not offers_cuda():
        return None
    try:
        return open_gpu(GpuProvider.CUDA, version, config)
    except OffbeatError as error:
        # ONNX Runtime's own words come in several lines, and behind the name of a file or folder: another one for each model.
        path = str(version.path)
        why = " ".join(str(error).removeprefix(path).removeprefix(f"/{MODEL_ONNX}").removeprefix(": ").split())
        _warn_once(f"CUDA is not used, scores are computed on the CPU (device 'cpu' asks for that): {why}")
        return None


def _required(version: ModelVersion, config: BackendConfig) -> Backend:
    try:
        return open_gpu(GpuProvider.CUDA, version, config)
    except MissingExtraError as error:
        raise MissingExtraError(f"device is 'cuda', but {error}") from error


@cache
def _warn_once(message: str) -> None:
    """A server has many models and one reason."""
    _log.warning("%s", message)


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
