"""Resident memory of the server and of the edge binary: idle, under load, and after very many requests of varying shapes."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.models import MODELS
from offbeat.client import AsyncClient
from offbeat.result import FloatArray

_CHUNK, _UNARY_SHARE = 5_000, 0.1
_MAX_BATCH, _N_AT_ONCE = 32, 16
# The first requests of each shape fill the allocators' caches, which stay.
_WARM_SHARE = 0.25
_N_FIRST_ROWS = 200


def resident(process: int) -> dict[str, float]:
    """MiB now and at most so far."""
    status = Path(f"/proc/{process}/status").read_text()
    found = {key: int(value) / 1024 for key, value in re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", status, re.MULTILINE)}
    return {"rss_mib": round(found["VmRSS"], 1), "peak_mib": round(found["VmHWM"], 1)}


class ServerMemory:
    """A server in a process of its own, whose memory is looked at from outside."""

    def __init__(self, repository: Path, backend: str) -> None:
        flags = ["--port", "0", "--backend", backend]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "offbeat", "serve", str(repository), *flags], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if " is ready on " not in line:
            raise SystemExit(f"the server ended before it was ready, with {self._process.wait()}")
        self._target = line.rsplit(maxsplit=1)[-1]

    def close(self) -> None:
        """Has it drain and end."""
        self._process.terminate()
        self._process.wait(60)

    def follow(self, model: str, n_requests: int) -> dict[str, Any]:
        """Idle, then after every 5,000 requests; `drift` is the last quarter's median over that of the quarter after the first."""
        idle = resident(self._process.pid)
        samples = asyncio.run(self._samples(model, n_requests))
        rss = [sample["rss_mib"] for sample in samples]
        warm = max(1, int(len(rss) * _WARM_SHARE))
        before, after = np.median(rss[warm : 2 * warm]), np.median(rss[-warm:])
        return {
            "idle": idle,
            "under_load": samples[-1],
            "n_requests": len(rss) * _CHUNK,
            "drift": round(float(after / before - 1), 4),
            "rss_mib_every_5000_requests": rss,
        }

    async def _samples(self, model: str, n_requests: int) -> list[dict[str, float]]:
        samples = []
        random = np.random.default_rng(5)
        async with AsyncClient(self._target) as client:
            for number in range(1, n_requests // _CHUNK + 1):
                await _send(client, model, random)
                samples.append(resident(self._process.pid))
                print(f"{number * _CHUNK:,} of {n_requests:,} requests: {samples[-1]}", file=sys.stderr, flush=True)
        return samples


async def _send(client: AsyncClient, model: str, random: np.random.Generator) -> None:
    """A chunk of requests of varying shapes: most over a stream, a tenth as calls of their own."""
    n_unary = int(_CHUNK * _UNARY_SHARE)
    async for result in client.score_stream(_shapes(model, _CHUNK - n_unary, random), model=model):
        assert result.anomaly_score is not None
    shapes = list(_shapes(model, n_unary, random))
    for start in range(0, n_unary, _N_AT_ONCE):
        await asyncio.gather(*(client.score(windows, model=model) for windows in shapes[start : start + _N_AT_ONCE]))


def _shapes(model: str, n: int, random: np.random.Generator) -> Iterator[FloatArray]:
    """Batches of 1 to 32 windows; of a series, of half to twice the trained length."""
    make, length = MODELS[model]
    n_features = make().n_features
    for _ in range(n):
        n_windows = int(random.integers(1, _MAX_BATCH + 1))
        n_steps = () if length is None else (int(random.integers(length // 2, 2 * length + 1)),)
        yield random.standard_normal((n_windows, *n_steps, n_features), dtype=np.float32)


def edge_memory(edge: Path, folder: Path, n_features: int, n_rows: int) -> dict[str, Any]:
    """Of `offbeat-edge score`: before any row, and after so many."""
    command = [edge, "score", folder, "--format", "raw"]
    rows = np.random.default_rng(0).standard_normal((n_rows, n_features), dtype=np.float32).tobytes()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        # What it says of the first windows shows that the model is loaded.
        process.stdin.write(rows[: _N_FIRST_ROWS * n_features * 4])
        process.stdin.flush()
        process.stdout.readline()
        idle = resident(process.pid)
        reader = threading.Thread(target=process.stdout.read)
        reader.start()
        process.stdin.write(rows)
        process.stdin.flush()
        loaded = resident(process.pid)
        process.stdin.close()
        reader.join()
    return {"idle": idle, "under_load": loaded, "n_rows": n_rows}
