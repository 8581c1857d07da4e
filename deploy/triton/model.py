"""offbeat in Triton's Python backend: model version folders scored as they were exported. docs/triton.md says how to use it.

Under `backends/onnxruntime/model.py` of a backend directory without Triton's own ONNX Runtime backend, it serves every model
whose config.pbtxt names that backend, which is what `offbeat export` writes; under another name, those that name that.
"""

from __future__ import annotations

import ctypes
import json
import os
import site
import sys
from pathlib import Path
from typing import Any

# Triton starts Python isolated, without what PYTHONPATH says, and this must be before the first import from there.
for _folder in reversed([each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]):
    sys.path.insert(0, _folder)
    site.addsitedir(_folder)

import numpy as np  # noqa: E402
import triton_python_backend_utils as pb_utils  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

import offbeat  # noqa: E402
from offbeat.errors import InvalidWindowError, OffbeatError  # noqa: E402
from offbeat.result import FloatArray  # noqa: E402

_set_name = ctypes.pythonapi.PyCapsule_SetName
_set_name.argtypes = [ctypes.py_object, ctypes.c_char_p]
# A capsule keeps the address of its name, so that this has to stay.
_USED = ctypes.c_char_p(b"used_dltensor")


class TritonPythonModel:
    """One version of one model; Triton makes one of these for each instance.

    Of the model's parameters, `offbeat_backend` is the backend, `auto` unless said, and `intra_op_thread_count` how many threads
    a batch is computed on.
    """

    def initialize(self, args: dict[str, str]) -> None:
        """Loads the version and replays its golden windows. What OffbeatError that raises makes the model UNAVAILABLE."""
        parameters = json.loads(args["model_config"]).get("parameters", {})
        said = {name: value["string_value"] for name, value in parameters.items()}
        self._scorer = offbeat.load(
            Path(args["model_repository"]) / args["model_version"],
            backend=said.get("offbeat_backend", "auto"),
            n_threads=int(said.get("intra_op_thread_count", "1")),
        )
        pb_utils.Logger.log_info(f"{args['model_name']}: {self._scorer.backend.description}")

    def execute(self, requests: list[Any]) -> list[Any]:
        """Scores the requests as one batch of the outputs that any of them asks for; one with bad windows is refused by itself."""
        replies: dict[int, Any] = {}
        good: dict[int, FloatArray] = {}
        for at, request in enumerate(requests):
            try:
                good[at] = self._scorer.check_windows(_windows(request))
            except InvalidWindowError as error:
                replies[at] = _refusal(str(error), pb_utils.TritonError.INVALID_ARG)
        if good:
            try:
                replies |= self._scored(good, requests)
            except OffbeatError as error:
                replies |= dict.fromkeys(good, _refusal(str(error), pb_utils.TritonError.INTERNAL))
        return [replies[at] for at in range(len(requests))]

    def finalize(self) -> None:
        """Frees the engine."""
        self._scorer.close()

    def _scored(self, windows: dict[int, FloatArray], requests: list[Any]) -> dict[int, Any]:
        """Replies by the place of the request. Triton joins only windows of one shape."""
        asked = {at: tuple(requests[at].requested_output_names()) for at in windows}
        batch = np.concatenate(list(windows.values())) if len(windows) > 1 else next(iter(windows.values()))
        outputs = self._scorer.run(batch, sorted({name for names in asked.values() for name in names}))
        replies, start = {}, 0
        for at, each in windows.items():
            rows = slice(start, start + len(each))
            replies[at] = pb_utils.InferenceResponse([_tensor(name, outputs[name][rows]) for name in asked[at]])
            start += len(each)
        return replies


def _refusal(message: str, status: int) -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, status))


def _windows(request: Any) -> FloatArray:
    """Triton's memory itself. Its own conversions to and from numpy read the wrong sizes where numpy is 2 (seen in Triton 2.51)."""
    windows: FloatArray = np.from_dlpack(pb_utils.get_input_tensor_by_name(request, "window"))
    return windows


def _tensor(name: str, array: NDArray[np.generic]) -> Any:
    capsule = np.ascontiguousarray(array).__dlpack__()
    tensor = pb_utils.Tensor.from_dlpack(name, capsule)
    # Triton marks it as used by a name that numpy does not know, of which numpy would then complain for each tensor.
    _set_name(capsule, _USED)
    return tensor
