"""The engines that run a model version, by name."""

from offbeat.backends.base import Backend, BackendFactory
from offbeat.backends.golden_replay import replay_golden
from offbeat.backends.native_backend import NativeBackend
from offbeat.backends.onnxruntime_session import import_onnxruntime
from offbeat.backends.registry import create_backend, names

__all__ = [
    "Backend",
    "BackendFactory",
    "NativeBackend",
    "create_backend",
    "import_onnxruntime",
    "names",
    "replay_golden",
]
