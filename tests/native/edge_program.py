"""The built offbeat-edge, for the tests that run it: `make cpp` builds it, OFFBEAT_BUILD names another build folder."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import offbeat
from offbeat.result import FloatArray

_REPOSITORY = Path(__file__).parents[2]
BUILD = Path(os.environ.get("OFFBEAT_BUILD", _REPOSITORY / "build" / "cmake"))
EDGE = BUILD / "runtime" / "cpp" / "edge" / "offbeat-edge"
GOLDEN = _REPOSITORY / "runtime" / "cpp" / "tests" / "golden"

needs_build = pytest.mark.skipif(not EDGE.exists(), reason=f"needs {EDGE}; `make cpp` builds it")


def run_edge(
    *words: str | Path, stdin: str | bytes = b"", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs it to its end; output and messages are decoded."""
    given = stdin.encode() if isinstance(stdin, str) else stdin
    command = [str(EDGE), *map(str, words)]
    result = subprocess.run(
        command, input=given, capture_output=True, timeout=200, check=False, env={**os.environ, **(environment or {})}
    )
    return subprocess.CompletedProcess(command, result.returncode, result.stdout.decode(), result.stderr.decode())


def csv_rows(n_rows: int, n_features: int) -> str:
    """A csv file of rows around zero under the names `sensor 0`, `sensor 1`, …, the golden models' own."""
    values = np.random.default_rng(3).normal(0.0, 5.0, (n_rows, n_features)).round(4)
    lines = [",".join(f"sensor {index}" for index in range(n_features))]
    return "\n".join([*lines, *(",".join(map(str, row)) for row in values)]) + "\n"


def windows_of(rows: str, n_steps: int) -> FloatArray:
    """The windows [window, time, feature] of such a file, one for each row from the first full one on."""
    values = np.loadtxt(rows.splitlines(), delimiter=",", skiprows=1, dtype=np.float32, ndmin=2)
    windows = np.lib.stride_tricks.sliding_window_view(values, n_steps, axis=0)
    return np.ascontiguousarray(windows.swapaxes(1, 2))


@cache
def expected_errors(model: str, rows: str, n_steps: int) -> FloatArray:
    """What ONNX Runtime gives for the windows of a file."""
    with offbeat.load(GOLDEN / model / "1", backend="onnxruntime") as scorer:
        return scorer.score(windows_of(rows, n_steps)).reconstruction_error
