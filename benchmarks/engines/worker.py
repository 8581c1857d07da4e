"""The process of one family of engines: loads what it is told and times one block of calls at a time.

Lines of JSON on standard input and output. While another family has its turn it waits for a line, and computes nothing.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter_ns
from typing import Any, TextIO

import numpy as np

from offbeat.backends import create_backend
from offbeat.bench.turns import reference_call
from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from offbeat.errors import MissingExtraError, OffbeatError
from offbeat.result import DEFAULT_OUTPUTS, FloatArray

Call = Callable[[], Any]
_BLOCK_NS = 4_000_000
_MAX_CALLS = 64
_N_TRIES = 4


class Engines:
    """The calls that are loaded, by key, and how many of each make a block."""

    def __init__(self) -> None:
        self._calls: dict[str, tuple[Call, int]] = {}

    def load(self, order: dict[str, Any]) -> dict[str, Any]:
        """Errors of the windows, for parity; None for the reference, which scores nothing."""
        windows = np.load(order["windows"])
        call = make_call(order["engine"], Path(order["folder"]), order["threads"], windows)
        result = call()
        self._calls[order["key"]] = (call, _block_size(call))
        return {"errors": None if result is None else [float(each) for each in result]}

    def time(self, order: dict[str, Any]) -> dict[str, Any]:
        """The median seconds of a block's calls; the first one brings its caches back and does not count, unless it is alone."""
        call, n_calls = self._calls[order["key"]]
        times = []
        for _ in range(n_calls + (n_calls > 1)):
            begin = perf_counter_ns()
            call()
            times.append(perf_counter_ns() - begin)
        return {"seconds": float(np.median(times[-n_calls:])) * 1e-9}

    def drop(self, order: dict[str, Any]) -> dict[str, Any]:
        """Forgets all that is loaded."""
        self._calls.clear()
        return {}


def make_call(engine: str, folder: Path, n_threads: int, windows: FloatArray) -> Call:
    """A call that gives the windows' errors. Raises OffbeatError for an engine that cannot run the model here."""
    if engine == "reference":
        return reference_call()
    if engine == "onnxruntime-int8":
        return _integer_graph(folder.parent / f"{folder.name}-int8.onnx", n_threads, windows)
    if engine in ("native-bf16", "native-int8"):
        return _narrow_native(folder, engine.removeprefix("native-"), n_threads, windows)
    backend, device = {"cuda": ("onnxruntime", "cuda"), "inductor": ("eager", "cpu")}.get(engine, (engine, "cpu"))
    config = BackendConfig(backend=backend, device=device, n_threads=n_threads)  # type: ignore[arg-type]
    running = create_backend(ModelVersion.open(folder), config)
    if engine == "inductor":
        _compile(running)
    return lambda: running.run(windows, DEFAULT_OUTPUTS)["reconstruction_error"]


def _compile(eager: Any) -> None:
    """Has torch's inductor compile the module; the first call does.

    What was compiled for other models is forgotten: after eight of them dynamo would run the next one eagerly, and say nothing.
    """
    import torch
    import torch._dynamo

    torch._dynamo.reset()
    eager._module = torch.compile(eager._module)


def _integer_graph(file: Path, n_threads: int, windows: FloatArray) -> Call:
    if not file.is_file():
        raise MissingExtraError("no layer of this model can be computed in integers")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = n_threads, 1
    options.enable_mem_pattern = options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(DEFAULT_OUTPUTS, {"window": windows})[0]


def _narrow_native(folder: Path, precision: str, n_threads: int, windows: FloatArray) -> Call:
    from offbeat.native import Session

    long_name = {"bf16": "bfloat16"}.get(precision, precision)
    session = Session.load(folder / "model.safetensors", precision=long_name, n_threads=n_threads)
    return lambda: session.score(windows, DEFAULT_OUTPUTS)["reconstruction_error"]


def _block_size(call: Call) -> int:
    quickest = _BLOCK_NS
    for _ in range(_N_TRIES):
        begin = perf_counter_ns()
        call()
        taken = perf_counter_ns() - begin
        quickest = min(quickest, taken)
        if taken > 10 * _BLOCK_NS:
            break
    return int(np.clip(_BLOCK_NS // max(quickest, 1), 1, _MAX_CALLS))


def answers(orders: TextIO) -> Iterator[dict[str, Any]]:
    """One answer to each order; what an engine cannot do is told as a problem."""
    engines = Engines()
    for line in orders:
        order = json.loads(line)
        try:
            yield getattr(engines, order["do"])(order)
        except OffbeatError as error:
            yield {"problem": str(error)}
        except Exception as error:  # noqa: BLE001 - inductor raises what its compilers do
            yield {"problem": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}


def main() -> None:
    # Engines print on standard output; answers go where it was.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for answer in answers(sys.stdin):
        replies.write(json.dumps(answer) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
