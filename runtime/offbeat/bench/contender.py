"""One model on one engine, timed in a process of its own, so that no two engines ever meet in one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np

from offbeat.backends import Backend, create_backend, replay_golden
from offbeat.backends.gpu_provider import GpuProvider
from offbeat.bench.turns import Turns, take_turns
from offbeat.bundle import Manifest, ModelVersion
from offbeat.config import BackendConfig, Device
from offbeat.errors import BackendError, FormatAbsentError, MissingExtraError, OffbeatError
from offbeat.result import DEFAULT_OUTPUTS, FloatArray


class Contender(msgspec.Struct, frozen=True, kw_only=True):
    """A version folder on a backend, with so many threads."""

    folder: str
    model: str
    version: int
    precision: str
    backend: str
    n_threads: int = 1
    device: Device = "cpu"

    @property
    def name(self) -> str:
        """For people: `pumps/2 native, 1 thread`."""
        return f"{self.model}/{self.version} {self.backend}, {self.n_threads} thread{'s' * (self.n_threads > 1)}"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is asked to time: that contender at each batch size, for so many seconds each."""

    contender: Contender
    batches: tuple[int, ...]
    seconds: float


class Timed(msgspec.Struct, frozen=True, kw_only=True):
    """What it found, by batch size in the order asked; or why there is nothing: `is_absent` where the engine or its file is not there."""

    turns: tuple[Turns, ...] = ()
    problem: str | None = None
    is_absent: bool = False


def contenders(
    folders: Iterable[Path], backends: Sequence[str], threads: Sequence[int], device: Device
) -> list[Contender]:
    """Every combination, of version folders that are opened and checked here. Raises BundleError."""
    manifests = {folder: ModelVersion.open(folder).manifest for folder in folders}
    return [
        _contender(folder, manifest, backend, n_threads, device)
        for folder, manifest in manifests.items()
        for backend in backends
        for n_threads in threads
    ]


def _contender(folder: Path, manifest: Manifest, backend: str, n_threads: int, device: Device) -> Contender:
    return Contender(
        folder=str(folder.resolve()),
        model=manifest.name,
        version=manifest.version,
        precision=manifest.precision.weights if manifest.precision is not None else "fp32",
        backend=backend,
        n_threads=n_threads,
        device=device,
    )


def time_in_process(order: Order) -> Timed:
    """Runs the order in a new process. Raises BackendError where that ends without an answer."""
    # -P, or a json.py where somebody happens to stand would be imported.
    command = [sys.executable, "-P", "-m", "offbeat.bench.worker"]
    done = subprocess.run(  # noqa: S603 - this very Python
        command, input=msgspec.json.encode(order), capture_output=True, check=False, env=_one_thread_each()
    )
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["nothing said"]
        raise BackendError(f"{order.contender.name}: its process ended with {done.returncode}: {last[0]}")
    return msgspec.json.decode(done.stdout, type=Timed)


def _one_thread_each() -> dict[str, str]:
    """Idle threads of libraries that compute on as many as there are cores would disturb what is timed."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def carry_out(order: Order) -> Timed:
    """Loads the contender, replays the golden windows, and times it; never raises what offbeat explains."""
    contender = order.contender
    config = BackendConfig(backend=contender.backend, device=contender.device, n_threads=contender.n_threads)
    try:
        version = ModelVersion.open(contender.folder)
        with closing(create_backend(version, config)) as backend:
            replay_golden(version, backend)
            windows = version.golden().window
            turns = tuple(_time(backend, windows, batch, order.seconds) for batch in order.batches)
    except OffbeatError as error:
        # A GPU that fails a model leaves the other engines to it, as with `--backend auto`; an engine on the CPU that does is alarming.
        is_absent = isinstance(error, MissingExtraError | FormatAbsentError) or contender.backend in set(GpuProvider)
        return Timed(problem=str(error), is_absent=is_absent)
    return Timed(turns=turns)


def _time(backend: Backend, golden: FloatArray, batch: int, seconds: float) -> Turns:
    """The golden windows over and over make the batch: numbers as the model meets them."""
    windows = np.ascontiguousarray(golden[np.arange(batch) % len(golden)])
    return take_turns(lambda: backend.run(windows, DEFAULT_OUTPUTS), seconds)
