"""What training reaches on real data; `python -m tests.training.acceptance` gives the means of three seeds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.training.acceptance import ecg5000_roc_auc
from tests.training.datasets.shared import SHARED_DATA

REPOSITORY = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.skipif(not SHARED_DATA.is_dir(), reason=f"real data for acceptance are not at {SHARED_DATA}"),
    pytest.mark.timeout(600),
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """These models are too small for two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_heartbeats_are_told_apart_by_a_model_of_normal_ones() -> None:
    assert ecg5000_roc_auc(seed=0) >= 0.985


def test_the_benchmark_tells_of_a_missing_folder_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.detection", "--sets", "nab", "--data", str(tmp_path)]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr == f"benchmarks.detection: no folder {tmp_path / 'nab'}; name the data with --data\n"
