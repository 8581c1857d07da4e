"""One stream of a GPU with what runs on it: sessions, their buffers, and a binding for each bucket."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from offbeat.backends.buckets import bucket_for, bucket_sizes, cut, fill
from offbeat.backends.capture_guard import CAPTURE_GUARD
from offbeat.backends.cuda_driver import Stream
from offbeat.backends.onnxruntime_session import plain_words, run_options
from offbeat.bundle import Manifest, ModelVersion
from offbeat.bundle.golden import Golden
from offbeat.errors import BackendError
from offbeat.result import DEFAULT_OUTPUTS, FloatArray

Outputs = dict[str, NDArray[np.generic]]
_INPUT = "window"
_GRAPH_ID = "gpu_graph_id"
_NO_GRAPH = "-1"
# A run to allocate, one to capture, and then two replays: the second proves that new inputs are read.
_N_PROOFS = 4


class _Bucket(NamedTuple):
    n_rows: int
    binding: Any
    options: Any


class Lane:
    """Runs a model on one stream. Belongs to one thread: ONNX Runtime keeps its CUDA graphs by thread.

    Windows of the trained length with none but the default outputs go to `bound`, through page-locked memory and a bucket's
    binding; all buckets share the memory of the largest. Anything else goes to `plain`, which copies by itself. Both sessions must
    have been made on `stream`, `bound` with CUDA graphs where `has_graphs`; without graphs they may be one.
    """

    def __init__(
        self,
        ort: Any,
        bound: Any,
        plain: Any,
        stream: Stream,
        manifest: Manifest,
        *,
        max_rows: int,
        has_graphs: bool,
        device_type: str = "cuda",
    ) -> None:
        self._bound, self._plain, self._stream, self._has_graphs = bound, plain, stream, has_graphs
        self._sizes = bucket_sizes(max_rows)
        self._row_shape = row_shape(manifest)
        self._window = stream.pinned((max_rows, *self._row_shape), np.float32)
        self._window_address = stream.device(self._window.nbytes)
        dtypes = {spec.name: spec.dtype for spec in manifest.outputs}
        self._outputs = {name: stream.pinned((max_rows,), dtypes[name]) for name in DEFAULT_OUTPUTS}
        self._addresses = {name: stream.device(array.nbytes) for name, array in self._outputs.items()}
        self._buckets = {n_rows: self._bind(ort, n_rows, device_type) for n_rows in self._sizes}
        self._plain_options = run_options(ort)
        self._is_proven = False

    def run(self, window: FloatArray, outputs: Sequence[str]) -> Outputs:
        """Computes the outputs asked for, in parts of the largest bucket's rows. Raises whatever ONNX Runtime raises."""
        is_bound = window.shape[1:] == self._row_shape and set(outputs) <= self._outputs.keys()
        run = self._run_bound if is_bound else self._run_plain
        is_capturing = is_bound and self._has_graphs and not self._is_proven
        with CAPTURE_GUARD.capturing() if is_capturing else CAPTURE_GUARD.running():
            parts = [run(window[part], outputs) for part in cut(len(window), self._sizes[-1])]
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in outputs}

    def prove(self, version: ModelVersion) -> None:
        """Runs every bucket on golden windows until its graph is captured and replayed, full and padded.

        Each run takes the windows in another order. Raises BackendError where ONNX Runtime fails, or an output is not the golden
        one within the parity bound.
        """
        golden = version.golden()
        # The largest first: the arena then has what the others need.
        for n_rows in reversed(self._sizes):
            for shift in range(_N_PROOFS):
                n_used = max(1, n_rows - 1) if shift == _N_PROOFS - 1 else n_rows
                self._prove(_turned(golden, n_used, shift), version)
        self._is_proven = True

    def close(self) -> None:
        """Frees the sessions, then the memory that its graphs point at. Raises BackendError where the GPU refuses."""
        with CAPTURE_GUARD.running():
            try:
                self._stream.wait()
            except BackendError:
                # After an error that stays, ONNX Runtime would end the whole process when it frees a session.
                _keep_for_ever(self._bound, self._plain, self._buckets)
                raise
            self._buckets.clear()
            self._bound = self._plain = None
            self._window = np.empty(0, np.float32)
            self._outputs.clear()
            self._stream.close()

    def _bind(self, ort: Any, n_rows: int, device_type: str) -> _Bucket:
        binding = self._bound.io_binding()
        shape = [n_rows, *self._row_shape]
        binding.bind_input(_INPUT, device_type, 0, np.float32, shape, self._window_address)
        for name, array in self._outputs.items():
            binding.bind_output(name, device_type, 0, array.dtype.type, [n_rows], self._addresses[name])
        options = run_options(ort)
        options.add_run_config_entry(_GRAPH_ID, str(n_rows) if self._has_graphs else _NO_GRAPH)
        return _Bucket(n_rows, binding, options)

    def _run_bound(self, window: FloatArray, outputs: Sequence[str]) -> Outputs:
        n_rows = len(window)
        bucket = self._buckets[bucket_for(n_rows, self._sizes)]
        buffer = self._window[: bucket.n_rows]
        fill(buffer, window)
        self._stream.send(self._window_address, buffer)
        self._bound.run_with_iobinding(bucket.binding, bucket.options)
        for name in outputs:
            self._stream.fetch(self._outputs[name][:n_rows], self._addresses[name])
        self._stream.wait()
        return {name: self._outputs[name][:n_rows].copy() for name in outputs}

    def _run_plain(self, window: FloatArray, outputs: Sequence[str]) -> Outputs:
        arrays = self._plain.run(list(outputs), {_INPUT: window}, self._plain_options)
        return dict(zip(outputs, arrays, strict=True))

    def _prove(self, golden: Golden, version: ModelVersion) -> None:
        manifest, what = version.manifest, f"{version.path}: a batch of {len(golden.window)} golden windows on the GPU"
        try:
            results = self.run(golden.window, DEFAULT_OUTPUTS)
        # ONNX Runtime's exceptions have no base of their own.
        except Exception as error:
            raise BackendError(f"{what}: {plain_words(error)}") from error
        deviation, output = golden.largest_deviation(manifest, results)
        if not deviation <= 1.0:
            raise BackendError(
                f"{what}: {output} is off by {deviation:.3g} times the parity bound of {manifest.parity.bound:g}"
            )


def _keep_for_ever(*objects: Any) -> None:
    """A reference that nobody gives back, not even the interpreter when it ends."""
    for each in objects:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(each))


def row_shape(manifest: Manifest) -> tuple[int, ...]:
    """One window of the trained length, (time, feature), or one row, (feature,)."""
    n_features = len(manifest.feature_names)
    return (n_features,) if manifest.window is None else (manifest.window.length, n_features)


def _turned(golden: Golden, n_rows: int, shift: int) -> Golden:
    """`n_rows` golden windows, repeated as often as need be, beginning at another one."""
    rows = (np.arange(n_rows) + shift) % len(golden.window)
    window = np.ascontiguousarray(golden.window[rows])
    return Golden(window=window, outputs={name: array[rows] for name, array in golden.outputs.items()})
