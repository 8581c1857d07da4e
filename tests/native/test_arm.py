"""The program built for 64-bit Arm, under emulation, gives the numbers of this machine's own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.native.edge_program import GOLDEN, csv_rows, needs_build, run_edge

ARM = Path(__file__).parents[2] / "build" / "aarch64" / "runtime" / "cpp" / "edge" / "offbeat-edge"
QEMU = shutil.which("qemu-aarch64")
MODELS = sorted(path.name for path in GOLDEN.iterdir())

pytestmark = [
    needs_build,
    pytest.mark.skipif(QEMU is None, reason="needs qemu-aarch64, of the package qemu-user"),
    pytest.mark.skipif(not ARM.exists(), reason=f"needs {ARM}; `make arm` builds it with g++-aarch64-linux-gnu"),
]


def run_arm(*words: str | Path, stdin: str = "") -> str:
    command = [str(QEMU), "-L", "/usr/aarch64-linux-gnu", str(ARM), *map(str, words)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=True, timeout=200).stdout


@pytest.mark.parametrize("model", MODELS)
def test_the_golden_windows_are_replayed_on_neon(model: str) -> None:
    assert "neon" in run_arm("verify", GOLDEN / model)


@pytest.mark.parametrize("model", MODELS)
def test_scores_are_those_of_this_machine(model: str) -> None:
    n_features = run_edge("inspect", GOLDEN / model).stdout.count("sensor ")
    rows = csv_rows(30, n_features)
    outputs = ("--outputs", "reconstruction_error,anomaly_score,feature_error")
    here = run_edge("score", GOLDEN / model, *outputs, stdin=rows).stdout
    there = run_arm("score", GOLDEN / model, *outputs, stdin=rows)
    assert here.splitlines()[0] == there.splitlines()[0]
    seen, expected = (np.loadtxt(text.splitlines()[1:], delimiter=",") for text in (there, here))
    np.testing.assert_allclose(seen, expected, rtol=2e-6, atol=1e-6)


def test_the_program_is_small_there_too() -> None:
    assert ARM.stat().st_size < 1_000_000
