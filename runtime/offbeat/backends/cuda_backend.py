"""ONNX Runtime on a GPU: a thread for each stream."""

from __future__ import annotations

import contextlib
import logging
import threading
import traceback
import weakref
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

from offbeat.backends.capture_guard import CAPTURE_GUARD
from offbeat.backends.cuda_driver import CudaDriver, CudaStream
from offbeat.backends.cuda_lane import Lane, Outputs
from offbeat.backends.gpu_provider import GpuProvider
from offbeat.backends.onnxruntime_session import create_session
from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from offbeat.errors import BackendError
from offbeat.result import DEFAULT_OUTPUTS, FloatArray

_CLOSE_S = 10.0
_log = logging.getLogger(__name__)

_Reply = SimpleQueue[Outputs | BaseException]
_Task = tuple[FloatArray, Sequence[str], _Reply]
_Tasks = SimpleQueue[_Task | None]


class CudaBackend:
    """Runs `model.onnx` on one GPU, on `n_streams` streams at a time. Safe to call from several threads.

    Every lane has a thread of its own that makes it, runs it and frees it, since ONNX Runtime keeps captured graphs by thread;
    a call hands its windows to the next one that is free. Raises what opening a lane raises.
    """

    def __init__(self, name: str, description: str, open_lane: Callable[[], Lane], n_streams: int = 1) -> None:
        self.name = name
        self.description = description
        self._tasks: _Tasks = SimpleQueue()
        self._lock = threading.Lock()
        self._is_closed = False
        self._threads: list[threading.Thread] = []
        # A backend that is forgotten must not leave its threads and the GPU's memory behind.
        self._release = weakref.finalize(self, _end, self._tasks, n_streams)
        self._release.atexit = False
        try:
            for number in range(n_streams):
                self._threads.append(_start(f"offbeat-{name}-{number}", self._tasks, open_lane))
        except BaseException:
            self.close()
            raise

    def run(self, window: FloatArray, outputs: Sequence[str]) -> Outputs:
        """Computes the outputs asked for. `window` is C-contiguous float32. Raises BackendError."""
        reply: _Reply = SimpleQueue()
        with self._lock:
            if self._is_closed:
                raise BackendError(f"{self.description}: closed")
            self._tasks.put((window, outputs, reply))
        result = reply.get()
        if isinstance(result, BaseException):
            raise BackendError(f"{self.description}: {result}") from result
        return result

    def close(self) -> None:
        """Lets calls that wait be computed, and frees sessions, memory and streams; a second call does nothing."""
        with self._lock:
            self._is_closed = True
            self._release()
        for thread in self._threads:
            thread.join(_CLOSE_S)


def open_lanes(kind: GpuProvider, version: ModelVersion, config: BackendConfig, *, has_graphs: bool) -> CudaBackend:
    """A backend whose lanes capture graphs if told to, which may end the process where the model does not allow it."""
    graphs = ", CUDA graphs" if has_graphs else ""

    def open_lane() -> Lane:
        return _open_lane(kind, version, config, has_graphs=has_graphs)

    return CudaBackend(kind.value, f"onnxruntime ({kind.provider}{graphs})", open_lane, config.n_streams)


def _open_lane(kind: GpuProvider, version: ModelVersion, config: BackendConfig, *, has_graphs: bool) -> Lane:
    ort = kind.import_onnxruntime()
    with CAPTURE_GUARD.running():
        lane = _make_lane(ort, kind, version, config, has_graphs=has_graphs)
    try:
        lane.prove(version)
    except BaseException as error:
        _let_go(error)
        with contextlib.suppress(BackendError):
            lane.close()
        raise
    return lane


def _make_lane(ort: Any, kind: GpuProvider, version: ModelVersion, config: BackendConfig, *, has_graphs: bool) -> Lane:
    manifest, max_rows = version.manifest, config.max_bucket_size
    stream = CudaStream(CudaDriver())

    def session(outputs: Sequence[str] | None, *, has_graphs: bool) -> Any:
        providers = kind.providers(manifest, max_rows, stream.handle, has_graphs=has_graphs)
        made = create_session(ort, version, config, providers, outputs)
        kind.check_providers(made.get_providers())
        return made

    try:
        plain = session(None, has_graphs=False)
        bound = session(DEFAULT_OUTPUTS, has_graphs=True) if has_graphs else plain
        return Lane(ort, bound, plain, stream, manifest, max_rows=max_rows, has_graphs=has_graphs)
    except BaseException as error:
        _let_go(error)
        with contextlib.suppress(BackendError):
            stream.close()
        raise


def _let_go(error: BaseException) -> None:
    """Empties the frames that an exception keeps: they hold the session, which waits for its stream when it ends.

    A stream that was freed before would be waited for in memory of somebody else.
    """
    link: BaseException | None = error
    while link is not None:
        traceback.clear_frames(link.__traceback__)
        link = link.__cause__ or link.__context__


def _start(name: str, tasks: _Tasks, open_lane: Callable[[], Lane]) -> threading.Thread:
    """A thread that serves, once its lane is open. Raises what opening raises."""
    opened: SimpleQueue[BaseException | None] = SimpleQueue()
    thread = threading.Thread(target=_serve, args=(tasks, open_lane, opened), name=name, daemon=True)
    thread.start()
    if (error := opened.get()) is not None:
        raise error
    return thread


def _serve(tasks: _Tasks, open_lane: Callable[[], Lane], opened: SimpleQueue[BaseException | None]) -> None:
    try:
        lane = open_lane()
    except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for it
        opened.put(error)
        return
    opened.put(None)
    try:
        while (task := tasks.get()) is not None:
            window, outputs, reply = task
            try:
                reply.put(lane.run(window, outputs))
            except BaseException as error:  # noqa: BLE001 - likewise; the lane goes on
                _let_go(error)
                reply.put(error)
            # Or an idle lane would keep the last batch in memory.
            del task, window, outputs, reply
    finally:
        try:
            lane.close()
        except BackendError as error:  # a GPU that broke refuses this too
            _log.warning("the GPU keeps a model's memory until this process ends: %s", error)


def _end(tasks: _Tasks, n_streams: int) -> None:
    for _ in range(n_streams):
        tasks.put(None)
