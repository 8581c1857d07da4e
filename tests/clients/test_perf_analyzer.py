"""Triton's load generator against the server, at several concurrencies, over calls and over streams."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path

import pytest

from tests.runtime.server.fakes import make_scorer
from tests.runtime.server.live import Serve

# The first of them waits for what it needs to be downloaded.
pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("streaming", [False, True], ids=["calls", "streams"])
def test_tritons_load_generator_measures_the_server(
    serve: Serve, perf_analyzer: list[str], tmp_path: Path, streaming: bool
) -> None:
    server = serve(make_scorer())
    table = tmp_path / "table.csv"
    what = ["-m", "level", "-u", server.target, "-i", "grpc", "--shape", "window:6,2", "-b", "4", "-f", str(table)]
    # By counted requests and with any spread: what is tried here is that they understand each other, not how fast.
    how = ["--concurrency-range", "1:4:3", "--measurement-mode", "count_windows", "--stability-percentage", "999"]
    how += ["--measurement-request-count", "200", "--max-trials", "10", "--input-data", "zero"]
    more = ["--streaming", "--async"] if streaming else []
    done = subprocess.run(
        [*perf_analyzer, *what, *how, *more], capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert sorted(int(row["Concurrency"]) for row in rows) == [1, 4]
    assert all(float(row["Inferences/Second"]) > 0 for row in rows)
    # From the server's statistics, which it asks for before and after.
    assert all(row["Server Compute Infer"].isdigit() for row in rows)
