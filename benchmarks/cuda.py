"""ONNX Runtime on a GPU beside eager PyTorch on it: parity, latency and throughput, host arrays in and host arrays out.

    python -m benchmarks.cuda --output benchmarks/results/2026-12-01-cuda.json
    python -m benchmarks.cuda --device cpu --models M1 M5 --seconds 0.2 --output /tmp/cpu.json     # where there is no GPU

Parity is measured against eager float32 on the CPU, in units of the parity bound, on golden, random and large windows, on full and
padded batches, on every output, and where the model allows it on another length. The contenders take turns, a few calls each, so
that the machine's moods fall on all of them. The file is written again after every measurement, and `--max-seconds` ends the run
in time, so that a machine that is lent for minutes leaves what it got to. An engine that cannot be opened, or fails, is told
in the file, and the others are measured. Exits with 1 where an output is farther off than the bound, where a window's score depends
on what is scored beside it, and where something failed or was not reached. With `--device cpu` the same is done on the CPU, with
one thread.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

# As the backend itself does, but before torch loads the libraries that read it: all contenders are held to the same precision.
os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")

import torch

from benchmarks.cuda_parity import normal_windows, parity
from benchmarks.cuda_record import Record, RecordedLog, gpu_environment
from benchmarks.cuda_table import table
from benchmarks.cuda_timing import REFERENCE, latency, throughput
from benchmarks.progress import tell
from offbeat.backends import Backend, create_backend
from offbeat.bundle import ModelRepository, ModelVersion
from offbeat.config import BackendConfig
from offbeat.errors import OffbeatError

MODELS = ("M1", "M2", "M3", "M4", "M5")
BATCHES = (1, 8, 64, 512)
# torch's own errors of CUDA are RuntimeErrors.
FAILURES = (OffbeatError, RuntimeError)


def contenders(device: str, n_streams: int, *, has_tensorrt: bool) -> dict[str, BackendConfig]:
    """What is compared, by the name in the tables; eager comes last."""
    if device == "cpu":
        named = {"onnxruntime": BackendConfig(backend="onnxruntime", device="cpu")}
    else:
        named = {
            "cuda": BackendConfig(backend="cuda", n_streams=n_streams),
            "cuda without graphs": BackendConfig(backend="cuda", n_streams=n_streams, cuda_graphs=False),
        }
        if has_tensorrt:
            named["tensorrt"] = BackendConfig(backend="tensorrt", n_streams=n_streams)
    return named | {REFERENCE: BackendConfig(backend="eager", device=device)}  # type: ignore[arg-type]


class OutOfTimeError(Exception):
    """Names what was not begun any more."""


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


class Measurement:
    """One model's figures, written down one by one: what fails is told among them, what comes after `end` is not begun."""

    def __init__(self, model: ModelVersion, arguments: argparse.Namespace, record: Record, end: float) -> None:
        self._model, self._arguments, self._record, self._end = model, arguments, record, end
        self._found = record.begin(model.manifest.name)

    def run(self) -> None:
        """Everything of the model."""
        try:
            with ExitStack() as stack:
                self._measure(self._open(stack), stack)
        except OutOfTimeError as what:
            self._found["failed"][str(what)] = "not begun: the time was over"
        except FAILURES as error:
            self._found["failed"]["reference"] = one_line(error)
        self._record.save()

    def _fill(self, where: dict[str, Any], key: str, what: str, measure: Callable[[], Any]) -> None:
        if time.perf_counter() > self._end:
            raise OutOfTimeError(what)
        try:
            where[key] = measure()
        except FAILURES as error:
            self._found["failed"][what] = one_line(error)
        self._record.save()

    def _open(self, stack: ExitStack) -> dict[str, Backend]:
        arguments, engines = self._arguments, {}
        for name, config in contenders(arguments.device, arguments.streams, has_tensorrt=arguments.tensorrt).items():
            begin = time.perf_counter()
            self._fill(engines, name, name, partial(create_backend, self._model, config))
            if name in engines:
                stack.callback(engines[name].close)
                self._found["load_s"][name] = time.perf_counter() - begin
                self._found["backends"][name] = engines[name].description
        return engines

    def _measure(self, engines: dict[str, Backend], stack: ExitStack) -> None:
        arguments, found = self._arguments, self._found
        if not engines:
            return
        n_threads = 1 if arguments.device == "cpu" else os.cpu_count() or 1
        config = BackendConfig(backend="eager", device="cpu", n_threads=n_threads)
        reference = stack.enter_context(closing(create_backend(self._model, config)))
        for name, engine in engines.items():
            self._fill(found["parity"], name, f"parity of {name}", partial(parity, self._model, engine, reference))
        batches = {batch: normal_windows(self._model.manifest, batch, seed=7) for batch in arguments.batches}
        for batch, windows in batches.items():
            found["latency"].append({"batch": batch, "calls": {}})
            row = found["latency"][-1]
            self._fill(row, "calls", f"latency of batch {batch}", partial(latency, engines, windows, arguments.seconds))
        for batch, windows in batches.items():
            for n_threads in sorted({1, arguments.streams}):
                found["throughput"].append({"batch": batch, "n_threads": n_threads})
                row = found["throughput"][-1]
                for name, engine in engines.items():
                    what = f"throughput of {name}, batch {batch}, {n_threads} threads"
                    self._fill(row, name, what, partial(throughput, engine, windows, n_threads, arguments.seconds))


def opened(arguments: argparse.Namespace) -> Iterator[ModelVersion]:
    """The models, from a repository or exported with random weights."""
    if arguments.repository is not None:
        repository = ModelRepository(arguments.repository)
        yield from (repository.open(name) for name in arguments.models)
        return
    # What trains and exports is not needed where the folders were made elsewhere.
    from benchmarks.models import export_model

    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.models:
            yield export_model(name, Path(folder))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="JSON of everything that was measured")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--repository", type=Path, help="models exported before, by these names; made here otherwise")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    parser.add_argument(
        "--streams", type=int, default=4, help="threads that call at the same time, and streams for them"
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement, for each contender")
    parser.add_argument("--max-seconds", type=float, default=math.inf, help="begin no measurement after so long")
    parser.add_argument("--tensorrt", action="store_true", help="measure backend tensorrt too")
    return parser.parse_args()


def main() -> None:
    end = time.perf_counter()
    arguments = parsed()
    end += arguments.max_seconds
    torch.set_num_threads(1)
    record = Record(arguments.output, gpu_environment(arguments.device))
    logger = logging.getLogger("offbeat")
    logger.setLevel(logging.INFO)
    logger.addHandler(RecordedLog(record))
    for number, model in enumerate(opened(arguments), 1):
        tell(f"{model.manifest.name}, {number} of {len(arguments.models)}")
        Measurement(model, arguments, record, end).run()
        print(table(record.results[-1]), end="\n\n", flush=True)
    if complaints := record.complaints():
        sys.exit("\n".join(complaints))


if __name__ == "__main__":
    main()
