"""ONNX Runtime's providers for a GPU: what they are asked for, and why one cannot be had here."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import io
import os
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

from offbeat.backends.cuda_driver import CudaDriver
from offbeat.backends.onnxruntime_session import CPU_PROVIDER, Providers, import_onnxruntime
from offbeat.bundle import Manifest
from offbeat.config import BackendConfig
from offbeat.errors import BackendError, ConfigurationError, MissingExtraError

_CUDA = "CUDAExecutionProvider"
_FATAL = 4
_CUDNN_LIBRARY = "libcudnn.so.9"
_TENSORRT_LIBRARIES = ("libnvinfer.so.10", "libnvonnxparser.so.10")
_INSTALL = "pip install 'offbeat[cuda]' (CUDA 13, cuDNN 9) in an environment without 'offbeat[cpu]'"


class GpuProvider(StrEnum):
    """A backend's name, which stands for one of ONNX Runtime's providers."""

    CUDA = "cuda"
    TENSORRT = "tensorrt"

    @property
    def provider(self) -> str:
        """ONNX Runtime's name of it."""
        return _CUDA if self is GpuProvider.CUDA else "TensorrtExecutionProvider"

    def check_config(self, config: BackendConfig) -> None:
        """Raises ConfigurationError where the configuration wants the CPU."""
        if config.device == "cpu":
            raise ConfigurationError(
                f"device is 'cpu', but backend {self.value!r} computes on a GPU; expected auto or cuda"
            )

    def import_onnxruntime(self) -> Any:
        """The module, with what the provider needs loaded. Raises MissingExtraError without the provider, a GPU or its libraries."""
        ort = import_onnxruntime()
        available = ort.get_available_providers()
        if self.provider not in available:
            raise MissingExtraError(
                f"backend {self.value!r} needs {self.provider}; this onnxruntime {ort.__version__} offers "
                f"{', '.join(available)}; {_INSTALL}"
            )
        try:
            # ONNX Runtime itself is not asked: what it finds missing it prints, in several lines, for every session.
            _check_driver(CudaDriver(), ort)
            # The option of the CUDA provider, which in 1.31 reaches cuDNN's recurrent layers, is none of TensorRT's.
            os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
            # What fails on a GPU is raised; it would be printed too, in the middle of a log of lines of JSON.
            ort.set_default_logger_severity(_FATAL)
            _load_libraries(ort)
            if self is GpuProvider.TENSORRT:
                _load_tensorrt()
        except MissingExtraError as error:
            raise MissingExtraError(
                f"backend {self.value!r}: onnxruntime {ort.__version__} offers {', '.join(available)}; {error}"
            ) from error
        return ort

    def check_providers(self, seen: list[str]) -> None:
        """Raises BackendError where a session has come to be without the provider."""
        if seen[0] != self.provider:
            raise BackendError(
                f"backend {self.value!r}: {self.provider} did not start, the session has {', '.join(seen)} alone: "
                f"CUDA libraries that do not match, or a GPU that is not supported; {_INSTALL}"
            )

    def providers(self, manifest: Manifest, max_rows: int, stream: int, *, has_graphs: bool) -> Providers:
        """What a session is given: this provider on the stream, then those for nodes that it does not take.

        TF32 is off: it would round products to 10 bits, which the parity bound does not allow. An arena that doubled would
        grow with every new shape.
        """
        cuda = {
            "use_tf32": "0",
            "arena_extend_strategy": "kSameAsRequested",
            "user_compute_stream": str(stream),
            "enable_cuda_graph": "1" if has_graphs else "0",
        }
        if self is GpuProvider.CUDA:
            return [(_CUDA, cuda), CPU_PROVIDER]
        return [(self.provider, _tensorrt_options(manifest, max_rows, stream)), (_CUDA, cuda), CPU_PROVIDER]


def offers_cuda() -> bool:
    """Whether an onnxruntime with a CUDA provider is installed; only a session tells whether there is a GPU for it."""
    try:
        return _CUDA in import_onnxruntime().get_available_providers()
    except MissingExtraError:
        return False


def _tensorrt_options(manifest: Manifest, max_rows: int, stream: int) -> dict[str, str]:
    """One engine for every bucket of the trained length: a shape outside would have another one built, for seconds to minutes."""
    steps = () if manifest.window is None else (manifest.window.length,)
    row = "x".join(str(size) for size in (*steps, len(manifest.feature_names)))
    return {
        "user_compute_stream": str(stream),
        "trt_fp16_enable": "False",
        "trt_profile_min_shapes": f"window:1x{row}",
        "trt_profile_opt_shapes": f"window:{max_rows}x{row}",
        "trt_profile_max_shapes": f"window:{max_rows}x{row}",
    }


def _check_driver(driver: CudaDriver, ort: Any) -> None:
    """A newer minor version than the driver's will do, a newer major one fails deep inside of ONNX Runtime."""
    major, minor = driver.cuda_version
    if major < int(ort.cuda_version.split(".")[0]):
        raise MissingExtraError(
            f"NVIDIA's driver is for CUDA {major}.{minor}; expected one for CUDA {ort.cuda_version}, or newer"
        )


def _load_libraries(ort: Any) -> None:
    """Loads CUDA and cuDNN from pip's packages or from the system's folders, where ONNX Runtime itself does not look for the former.

    Its function looks for packages only beside its own; they may lie elsewhere on Python's path, as where another environment
    has torch. And it takes cuDNN for optional, which recurrent layers cannot do without.
    """
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        ort.preload_dlls()
    names = re.findall(r"^Failed to load (lib[^\s:]+)", said.getvalue(), re.MULTILINE)
    missing = [why for name in (*names, _CUDNN_LIBRARY) if (why := _why_not_loaded(name))]
    if missing:
        raise MissingExtraError(f"CUDA {ort.cuda_version} is not here: {'; '.join(missing)}; {_INSTALL}")


def _why_not_loaded(name: str) -> str:
    """Loads a library of NVIDIA's; empty, or the loader's words."""
    why = ""
    for place in (name, *_packaged(name)):
        try:
            ctypes.CDLL(place)
        except OSError as error:
            why = why or str(error)
        else:
            return ""
    return why


def _packaged(name: str) -> Iterator[str]:
    """Where packages of NVIDIA's on Python's path have the library."""
    spec = importlib.util.find_spec("nvidia")
    for folder in (spec and spec.submodule_search_locations) or ():
        yield from map(str, Path(folder).glob(f"*/lib/{name}"))


def _load_tensorrt() -> None:
    for name in _TENSORRT_LIBRARIES:
        try:
            ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            raise MissingExtraError(
                f"TensorRT is not here ({error}); expected its {name} where the loader looks, as in LD_LIBRARY_PATH"
            ) from error
