"""Backends by name: the built-in ones, and those that other packages register."""

from __future__ import annotations

import logging
from functools import partial
from importlib.metadata import entry_points

from offbeat.backends.auto_backend import Choice, choose_backend, open_onnxruntime
from offbeat.backends.base import Backend, BackendFactory
from offbeat.backends.gpu_opening import open_gpu
from offbeat.backends.gpu_provider import GpuProvider
from offbeat.backends.native_backend import NativeBackend
from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig, Device
from offbeat.errors import ConfigurationError, MissingExtraError

ENTRY_POINT_GROUP = "offbeat.backends"

_BUILT_IN: dict[str, BackendFactory] = {
    "onnxruntime": open_onnxruntime,
    "native": NativeBackend,
    **{kind.value: partial(open_gpu, kind) for kind in GpuProvider},
}
_log = logging.getLogger(__name__)


def names(device: Device = "auto") -> tuple[str, ...]:
    """Every backend that can be asked for by name on the device, sorted. One whose extra is missing is listed too."""
    registered = {*_BUILT_IN, *(point.name for point in entry_points(group=ENTRY_POINT_GROUP))}
    elsewhere = {"cpu": {kind.value for kind in GpuProvider}, "cuda": {NativeBackend.name}, "auto": set()}[device]
    return tuple(sorted(registered - elsewhere))


def create_backend(version: ModelVersion, config: BackendConfig | None = None) -> Backend:
    """Loads a model version into the engine that `config` names.

    `auto` is ONNX Runtime on CUDA where a GPU is usable; else the native core where it is built and gives the version's golden
    outputs; else ONNX Runtime on the CPU. Which it became, and why, is logged.

    Raises ConfigurationError for a name that is not registered or a device that is not there, MissingExtraError where
    the engine is not installed, BackendError where it refuses the model.
    """
    config = config or BackendConfig()
    choice, manifest = _choose(version, config), version.manifest
    level = logging.WARNING if choice.is_alarming else logging.INFO
    _log.log(
        level,
        "%s version %d runs on %s: %s",
        manifest.name,
        manifest.version,
        choice.backend.description,
        choice.reason,
    )
    return choice.backend


def _choose(version: ModelVersion, config: BackendConfig) -> Choice:
    if config.backend == "auto":
        return choose_backend(version, config)
    return Choice(_factory(config.backend)(version, config), "asked for")


def _factory(name: str) -> BackendFactory:
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    for point in entry_points(group=ENTRY_POINT_GROUP, name=name):
        try:
            factory: BackendFactory = point.load()
        except ImportError as error:
            raise MissingExtraError(f"backend {name!r} needs {error.name}; pip install 'offbeat[export]'") from error
        return factory
    raise ConfigurationError(f"backend is {name!r}; expected auto, {', '.join(names())}")
