"""ONNX Runtime: the standard backend, on the CPU and on CUDA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from offbeat.bundle import ModelVersion, TensorSpec
from offbeat.bundle.model_version import MODEL_ONNX
from offbeat.config import BackendConfig, Device
from offbeat.errors import BackendError, BundleError, ConfigurationError, MissingExtraError
from offbeat.result import FloatArray

if TYPE_CHECKING:
    import onnxruntime

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
# TF32 would round products to 10 bits, which the parity bound does not allow; an arena that doubles would grow with every new shape.
_CUDA_OPTIONS = {"use_tf32": "0", "arena_extend_strategy": "kSameAsRequested"}
_NO_FOLDER = "/dev/null"
_DTYPES = {"tensor(float)": "float32", "tensor(bool)": "bool"}


class OnnxRuntimeBackend:
    """Runs `model.onnx`. One session, safe to call from several threads; each call computes on `n_threads`.

    Raises MissingExtraError without onnxruntime, ConfigurationError for a CUDA device that is not there, BundleError for
    a graph whose inputs and outputs are not the manifest's, BackendError where ONNX Runtime refuses the graph.
    """

    name = "onnxruntime"

    def __init__(self, version: ModelVersion, config: BackendConfig) -> None:
        ort = _import()
        session = _create_session(ort, version, config)
        self._session: onnxruntime.InferenceSession | None = session
        self.provider: str = session.get_providers()[0]
        self.description = f"{self.name} ({self.provider})"
        self._run_options = ort.RunOptions()
        # Without it every node runs, also those of outputs nobody asked for.
        self._run_options.only_execute_path_to_fetches = True
        _check_signature(session, version)

    @property
    def is_on_cuda(self) -> bool:
        """Whether the session computes on a GPU."""
        return self.provider == _CUDA

    def run(self, window: FloatArray, outputs: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """Computes the outputs asked for. `window` is C-contiguous float32. Raises BackendError."""
        session = self._session
        if session is None:
            raise BackendError(f"{self.description}: closed")
        try:
            arrays = session.run(outputs, {"window": window}, self._run_options)
        except Exception as error:
            raise BackendError(f"{self.description}: {error}") from error
        return dict(zip(outputs, arrays, strict=True))

    def close(self) -> None:
        """Frees the session; a second call does nothing, and `run` raises BackendError from then on."""
        self._session = None


def may_use_cuda() -> bool:
    """Whether an onnxruntime with a CUDA provider is installed; a session tells whether there is a GPU for it."""
    try:
        return _CUDA in _import().get_available_providers()
    except MissingExtraError:
        return False


def _import() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError(
            "onnxruntime is not installed; pip install 'offbeat[cpu]', or 'offbeat[cuda]' for a GPU"
        ) from error
    return onnxruntime


def _create_session(ort: Any, version: ModelVersion, config: BackendConfig) -> onnxruntime.InferenceSession:
    content = version.read(MODEL_ONNX)
    providers = _providers(ort.get_available_providers(), config.device)
    # With one provider there is nothing to fall back to, and ONNX Runtime would print that it does. A model brings no options.
    settings = {"enable_fallback": len(providers) > 1, "read_config_from_model": 0}
    try:
        session = ort.InferenceSession(content, _session_options(ort, config), providers=providers, **settings)
    except Exception as error:
        raise BackendError(f"{version.path / MODEL_ONNX}: ONNX Runtime refuses it: {error}") from error
    if config.device == "cuda" and session.get_providers()[0] != _CUDA:
        raise ConfigurationError(
            "device is 'cuda', but ONNX Runtime could not start its CUDA provider: no usable GPU, or CUDA libraries that do not match"
        )
    return session


def _providers(available: Sequence[str], device: Device) -> list[str | tuple[str, dict[str, str]]]:
    """The providers to ask for, best first. Raises ConfigurationError where CUDA is required and not built in."""
    if device == "cuda" and _CUDA not in available:
        raise ConfigurationError(
            f"device is 'cuda', but this onnxruntime offers {', '.join(available)}; pip install 'offbeat[cuda]' in an environment without 'offbeat[cpu]'"
        )
    if device != "cpu" and _CUDA in available:
        return [(_CUDA, dict(_CUDA_OPTIONS)), _CPU]
    return [_CPU]


def _session_options(ort: Any, config: BackendConfig) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = config.n_threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    # Spinning threads would take the cores that other workers and the transport need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A memory pattern is kept for every shape seen, and shapes come from outside: memory must not grow with them.
    options.enable_mem_pattern = False
    options.enable_cpu_mem_arena = False
    # Everything is in the file: where it names others, none is read.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", _NO_FOLDER)
    # Errors reach the caller as exceptions.
    options.log_severity_level = 4
    return options


def _check_signature(session: onnxruntime.InferenceSession, version: ModelVersion) -> None:
    manifest, where = version.manifest, version.path / MODEL_ONNX
    for kind, nodes_of, specs in (
        ("inputs", session.get_inputs, manifest.inputs),
        ("outputs", session.get_outputs, manifest.outputs),
    ):
        try:
            seen = {node.name: (_DTYPES.get(node.type, node.type), tuple(node.shape)) for node in nodes_of()}
        except UnicodeDecodeError as error:
            raise BundleError(f"{where}: names of {kind} are no text: {error}") from error
        expected = {spec.name: (spec.dtype, _symbolic(spec)) for spec in specs}
        if seen != expected:
            raise BundleError(f"{where}: {kind} are {seen}; manifest.json says {expected}")


def _symbolic(spec: TensorSpec) -> tuple[int | str, ...]:
    return tuple(spec.shape)
