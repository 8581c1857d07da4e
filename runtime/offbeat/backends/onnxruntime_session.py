"""Sessions of ONNX Runtime: how all of them are made, and that they are the manifest's model."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from offbeat.backends.onnx_outputs import keep_outputs
from offbeat.bundle import ModelVersion, TensorSpec
from offbeat.bundle.model_version import MODEL_ONNX
from offbeat.config import BackendConfig
from offbeat.errors import BackendError, BundleError, MissingExtraError

if TYPE_CHECKING:
    import onnxruntime

CPU_PROVIDER = "CPUExecutionProvider"
Providers = Sequence[str | tuple[str, dict[str, str]]]
_NO_FOLDER = "/dev/null"
# Signatures and source lines that ONNX Runtime puts around "CUDA failure 700: an illegal memory access was encountered".
_FROM_CPP = re.compile(r"/onnxruntime_src/\S+:\d+ .*?\[with .*?\] | ; GPU=-?\d+ ;.*", re.DOTALL)
_DTYPES = {"tensor(float)": "float32", "tensor(bool)": "bool"}


def import_onnxruntime() -> Any:
    """The module. Raises MissingExtraError where it is not installed."""
    # From 1.31 on it otherwise keeps an id of the machine and a record of its use below HOME, to be sent. It asks once, now.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError(
            "onnxruntime is not installed; pip install 'offbeat[cpu]', or 'offbeat[cuda]' for a GPU"
        ) from error
    return onnxruntime


def create_session(
    ort: Any,
    version: ModelVersion,
    config: BackendConfig,
    providers: Providers,
    outputs: Sequence[str] | None = None,
) -> onnxruntime.InferenceSession:
    """A session of `model.onnx` on the providers, best first; of these outputs alone, where they are given.

    Raises BackendError where ONNX Runtime refuses the graph, BundleError where its inputs and outputs are not the manifest's.
    """
    # ONNX Runtime's own fallback would print that it falls back, and go on where we refuse. A model brings no options.
    settings = {"enable_fallback": False, "read_config_from_model": 0}
    content = version.read(MODEL_ONNX)
    if outputs is not None:
        content = keep_outputs(content, outputs)
    try:
        session = ort.InferenceSession(content, _session_options(ort, config), providers=list(providers), **settings)
    # ONNX Runtime's exceptions have no base of their own.
    except Exception as error:
        raise BackendError(f"{version.path / MODEL_ONNX}: ONNX Runtime refuses it: {plain_words(error)}") from error
    _check_signature(session, version, version.manifest.output_names if outputs is None else outputs)
    return session


def plain_words(error: Exception) -> str:
    """What ONNX Runtime says, without where in its source it says so."""
    return _FROM_CPP.sub("", str(error)).strip()


def run_options(ort: Any) -> Any:
    """Options of a run that computes what is asked for."""
    options = ort.RunOptions()
    # Without it every node runs, also those of outputs nobody asked for.
    options.only_execute_path_to_fetches = True
    return options


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


def _check_signature(session: onnxruntime.InferenceSession, version: ModelVersion, outputs: Sequence[str]) -> None:
    manifest, where = version.manifest, version.path / MODEL_ONNX
    for kind, nodes_of, specs in (
        ("inputs", session.get_inputs, manifest.inputs),
        ("outputs", session.get_outputs, [spec for spec in manifest.outputs if spec.name in outputs]),
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
