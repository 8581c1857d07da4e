"""Records what the comparison is tested on: the same measurement many times, unchanged and with a planted slowdown of 20 %.

    python -m benchmarks.planted --output tests/runtime/bench/recorded.npz

Each run times two contenders in five processes, in turns with the reference, as `offbeat bench run` does. A slowed call scores, and then
waits for a fifth of what that took. With `--disturb` another process computes in bursts meanwhile.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.progress import tell
from offbeat.backends import create_backend
from offbeat.bench.turns import take_turns
from offbeat.bundle import ModelRepository
from offbeat.config import BackendConfig
from offbeat.result import DEFAULT_OUTPUTS

CONTENDERS = (("M1", "native", 1), ("M1", "onnxruntime", 8))
SLOWDOWN = 0.2
_N_PROCESSES, _N_ROUNDS, _SECONDS = 5, 24, 0.1
_BURST = """
import random, time
while True:
    end = time.perf_counter() + random.uniform(0.05, 1.0)
    while time.perf_counter() < end: sum(range(1000))
    time.sleep(random.uniform(0.05, 1.5))
"""


def main() -> None:
    """Writes nanoseconds [kind, run, contender, process, round], kinds being unchanged and slowed, and the reference's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--disturb", action="store_true")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--worker", nargs=2, metavar=("REPOSITORY", "ORDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(_time(Path(arguments.worker[0]), *json.loads(arguments.worker[1]))))
        return
    # It needs torch, which a worker has no time for.
    from benchmarks.models import export_model

    with tempfile.TemporaryDirectory() as folder, _disturbed(arguments.disturb):
        for model in {model for model, _, _ in CONTENDERS}:
            export_model(model, Path(folder))
        runs = [[], []]
        for number in range(arguments.runs):
            for kind, slowdown in enumerate((0.0, SLOWDOWN)):
                runs[kind].append(
                    [[_in_process(folder, *each, slowdown) for _ in range(_N_PROCESSES)] for each in CONTENDERS]
                )
            tell(f"run {number + 1} of {arguments.runs}")
    figures = np.round(np.array(runs) * 1e9).astype(np.uint32)
    np.savez_compressed(arguments.output, times=figures[..., 0, :], references=figures[..., 1, :])


def _in_process(repository: str, model: str, backend: str, batch: int, slowdown: float) -> list[list[float]]:
    order = json.dumps([model, backend, batch, slowdown])
    command = [sys.executable, "-m", "benchmarks.planted", "--worker", repository, order]
    found: list[list[float]] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def _time(repository: Path, model: str, backend: str, batch: int, slowdown: float) -> list[list[float]]:
    """Seconds of the call and of the reference, of the first so many rounds."""
    version = ModelRepository(repository).open(model)
    engine = create_backend(version, BackendConfig(backend=backend, device="cpu"))
    windows = np.ascontiguousarray(version.golden().window[:1].repeat(batch, axis=0))
    call = _slowed(lambda: engine.run(windows, DEFAULT_OUTPUTS), slowdown)
    times: list[float] = []
    references: list[float] = []
    while len(times) < _N_ROUNDS:
        turns = take_turns(call, _SECONDS)
        times += turns.times
        references += turns.references
    return [times[:_N_ROUNDS], references[:_N_ROUNDS]]


def _slowed(call: Callable[[], object], share: float) -> Callable[[], object]:
    if share == 0:
        return call

    def slow() -> None:
        begin = perf_counter()
        call()
        end = perf_counter() + share * (perf_counter() - begin)
        while perf_counter() < end:
            pass

    return slow


@contextmanager
def _disturbed(is_disturbed: bool) -> Iterator[None]:
    others = [subprocess.Popen([sys.executable, "-c", _BURST])] if is_disturbed else []
    try:
        yield
    finally:
        for other in others:
            other.terminate()
            other.wait()


if __name__ == "__main__":
    main()
