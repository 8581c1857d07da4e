"""A GPU made of this process's memory: streams, and sessions that capture and replay as ONNX Runtime's do on CUDA.

What a session computes, ONNX Runtime computes on the CPU, through the same bindings to the same addresses.
"""

from __future__ import annotations

import ctypes
import threading
from collections import Counter
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import DTypeLike, NDArray

from offbeat.backends.capture_guard import CAPTURE_GUARD
from offbeat.backends.cuda_lane import Lane
from offbeat.backends.onnxruntime_session import create_session
from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from offbeat.result import DEFAULT_OUTPUTS


class FakeStream:
    """Copies to the device when told to, and back only when waited for. Refuses other threads, and work after its end."""

    handle = 7

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._memory: dict[int, NDArray[Any]] = {}
        self._queued: list[tuple[NDArray[Any], int]] = []
        self.is_closed = False

    def _check(self) -> None:
        assert threading.get_ident() == self._thread
        assert not self.is_closed

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        self._check()
        return np.full(shape, 255, np.uint8).astype(dtype)

    def device(self, n_bytes: int) -> int:
        self._check()
        memory = np.full(n_bytes, 255, np.uint8)
        self._memory[memory.ctypes.data] = memory
        return memory.ctypes.data

    def send(self, address: int, array: NDArray[Any]) -> None:
        self._check()
        assert array.flags.c_contiguous
        assert array.nbytes <= self._memory[address].nbytes
        ctypes.memmove(address, array.ctypes.data, array.nbytes)

    def fetch(self, array: NDArray[Any], address: int) -> None:
        self._check()
        assert array.nbytes <= self._memory[address].nbytes
        self._queued.append((array, address))

    def wait(self) -> None:
        self._check()
        for array, address in self._queued:
            ctypes.memmove(array.ctypes.data, address, array.nbytes)
        self._queued.clear()

    def close(self) -> None:
        self._check()
        self.is_closed = True


# What ONNX Runtime 1.31 raises where an operator refuses to be captured, names of types cut short.
NOT_CAPTURED = (
    "Error in execution: /onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:154 std::conditional_t<THRW, void, Status> "
    "onnxruntime::CudaCall(ERRTYPE, const char*, int) [with ERRTYPE = cudaError; bool THRW = true] CUDA failure 901: operation "
    "failed due to a previous error during capture ; GPU=0 ; hostname=here ; file=cuda_graph.cc ; line=61 ; "
    "expr=cudaStreamEndCapture(stream_, &graph); \n"
)


class FakeSession:
    """Keeps a graph for each id, of the binding that it was captured with; `is_stale` graphs replay what they computed then.

    One that `fails` raises what ONNX Runtime raises, in "capture" or in every "run".
    """

    def __init__(self, session: onnxruntime.InferenceSession, *, is_stale: bool = False, fails: str = "") -> None:
        self._session = session
        self._is_stale = is_stale
        self._fails = fails
        self._thread = threading.get_ident()
        self._graphs: dict[str, Any] = {}
        self.captures: Counter[str] = Counter()
        self.replays: Counter[str] = Counter()
        self.n_bound = self.n_plain = 0

    def io_binding(self) -> Any:
        return self._session.io_binding()

    def run_with_iobinding(self, binding: Any, options: Any) -> None:
        assert threading.get_ident() == self._thread
        graph = options.get_run_config_entry("gpu_graph_id")
        self.n_bound += 1
        if self._fails == "run":
            raise RuntimeError("CUDNN failure 8: CUDNN_STATUS_EXECUTION_FAILED ; GPU=0 ; hostname=here ;")
        if graph == "-1":
            self._session.run_with_iobinding(binding, options)
        elif graph not in self._graphs:
            assert CAPTURE_GUARD._is_capturing
            if self._fails == "capture":
                raise RuntimeError(NOT_CAPTURED)
            self._graphs[graph] = binding
            self.captures[graph] += 1
            self._session.run_with_iobinding(binding, options)
        else:
            self.replays[graph] += 1
            if not self._is_stale:
                self._session.run_with_iobinding(self._graphs[graph], options)

    def run(self, outputs: list[str], feed: dict[str, Any], options: Any) -> list[Any]:
        self.n_plain += 1
        return list(self._session.run(outputs, feed, options))


def fake_session(
    version: ModelVersion, *, outputs: tuple[str, ...] | None = None, is_stale: bool = False, fails: str = ""
) -> FakeSession:
    session = create_session(onnxruntime, version, BackendConfig(), ["CPUExecutionProvider"], outputs)
    return FakeSession(session, is_stale=is_stale, fails=fails)


def fake_lane(
    version: ModelVersion, *, max_rows: int = 8, has_graphs: bool = True, bound: FakeSession | None = None
) -> Lane:
    return Lane(
        onnxruntime,
        bound or fake_session(version, outputs=DEFAULT_OUTPUTS),
        fake_session(version),
        FakeStream(),
        version.manifest,
        max_rows=max_rows,
        has_graphs=has_graphs,
        device_type="cpu",
    )
