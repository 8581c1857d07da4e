from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime import folders

# Shapes come from outside: what an engine kept for each would grow with them.
_PROGRAM = """
import sys
import numpy as np, offbeat
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
scorer = offbeat.load(sys.argv[1], backend=sys.argv[2])
generator = np.random.default_rng(0)
def score(n):
    for _ in range(n):
        scorer.score(np.zeros((generator.integers(1, 200), generator.integers(1, 100), 2), np.float32))
score(1000)
before = resident()
score(3000)
print(resident() - before)
"""


@pytest.mark.parametrize("backend", ["native", "onnxruntime"])
def test_memory_does_not_grow_with_varying_shapes(tmp_path: Path, backend: str) -> None:
    """In a process of its own: resident memory after 4,000 shapes is that after 1,000, within 2 MiB."""
    folder = folders.write_version(tmp_path, safetensors=folders.safetensors_bytes())
    asked = [sys.executable, "-c", _PROGRAM, str(folder), backend]
    output = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert int(output) < 2 * 2**20
