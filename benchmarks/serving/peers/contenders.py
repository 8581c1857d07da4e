"""The servers, each started with a model and asked once, and what is sent to them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.models import random_windows
from benchmarks.ports import free_ports
from benchmarks.serving.load import Load
from benchmarks.serving.payloads import METHODS, payload
from benchmarks.serving.tritonserver import tritonserver

_HERE = Path(__file__).parent
_START_S = 120.0


class Contender(msgspec.Struct, frozen=True, kw_only=True):
    """One way to ask one server: by HTTP and JSON where `path` is given, else by gRPC's ModelInfer."""

    name: str
    target: str
    path: str | None = None

    def load(self, model: str, n_windows: int, concurrency: int, seconds: float, core: int | None) -> Load:
        """A closed loop as an order to a load generator."""
        by_grpc = self.path is None
        return Load(
            target=self.target,
            method=METHODS["infer"] if self.path is None else self.path,
            payload=payload(model, "infer", n_windows) if by_grpc else self._body(model, n_windows),
            seconds=seconds,
            concurrency=concurrency,
            core=core,
        )

    def _body(self, model: str, n_windows: int) -> bytes:
        windows = random_windows(model, n_windows, seed=2)
        if self.path == "/score":
            return msgspec.json.encode({"window": windows.tolist()})
        tensor = {"name": "window", "datatype": "FP32", "shape": windows.shape, "data": windows.ravel().tolist()}
        wanted = [{"name": name} for name in ("reconstruction_error", "anomaly_score", "is_anomaly")]
        return msgspec.json.encode({"inputs": [tensor], "outputs": wanted})

    def error(self, body: bytes) -> float:
        """The first window's reconstruction error in an answer by HTTP."""
        answer = msgspec.json.decode(body)
        if self.path == "/score":
            return float(answer["reconstruction_error"][0])
        found = next(each for each in answer["outputs"] if each["name"] == "reconstruction_error")
        return float(np.ravel(found["data"])[0])


@contextmanager
def offbeat(repository: Path, model: str, folder: Path, core: int | None) -> Iterator[list[Contender]]:
    """gRPC and REST of one server."""
    grpc, http = free_ports(2)
    flags = ["--port", str(grpc), "--metrics-port", str(http), "--rest"]
    with _started([sys.executable, "-m", "offbeat", "serve", str(repository), *flags], core, (grpc, http), folder):
        yield [
            Contender(name="offbeat, gRPC", target=f"127.0.0.1:{grpc}"),
            Contender(name="offbeat, JSON", target=f"127.0.0.1:{http}", path=f"/v2/models/{model}/infer"),
        ]


@contextmanager
def fastapi(python: Path, graph: Path, folder: Path, core: int | None) -> Iterator[list[Contender]]:
    """uvicorn with one worker."""
    (port,) = free_ports(1)
    command = [str(python), str(_HERE / "fastapi_server.py"), str(graph), str(port)]
    with _started(command, core, (port,), folder):
        yield [Contender(name="FastAPI, JSON", target=f"127.0.0.1:{port}", path="/score")]


@contextmanager
def mlserver(python: Path, graph: Path, model: str, folder: Path, core: int | None) -> Iterator[list[Contender]]:
    """Inference in the server's own process, without lines for debugging."""
    http, grpc, metrics = free_ports(3)
    settings = {
        "host": "127.0.0.1",
        "http_port": http,
        "grpc_port": grpc,
        "metrics_port": metrics,
        "parallel_workers": 0,
        "debug": False,
    }
    (folder / "settings.json").write_bytes(msgspec.json.encode(settings))
    about = {"name": model, "implementation": "mlserver_model.OnnxModel", "parameters": {"uri": str(graph)}}
    (folder / "model-settings.json").write_bytes(msgspec.json.encode(about))
    (folder / "mlserver_model.py").symlink_to(_HERE / "mlserver_model.py")
    command = [str(python), "-c", "from mlserver.cli import main; main()", "start", str(folder)]
    with _started(command, core, (http, grpc), folder):
        yield [
            Contender(name="MLServer, gRPC", target=f"127.0.0.1:{grpc}"),
            Contender(name="MLServer, JSON", target=f"127.0.0.1:{http}", path=f"/v2/models/{model}/infer"),
        ]


@contextmanager
def triton(packages: Path, repository: Path, folder: Path, core: int | None) -> Iterator[list[Contender]]:
    """offbeat's model in Triton's Python backend: the same engine, in a process of its own behind another server."""
    (folder / "pinned").mkdir()
    (folder / "free").mkdir()
    with (
        tritonserver(packages, repository, folder / "pinned", core) as pinned,
        tritonserver(packages, repository, folder / "free") as free,
    ):
        yield [
            Contender(name="Triton, gRPC", target=pinned),
            Contender(name="Triton, gRPC, all cores", target=free),
        ]


@contextmanager
def _started(command: Sequence[str], core: int | None, ports: Sequence[int], folder: Path) -> Iterator[None]:
    """The command on one core, once all its ports are open; what it says goes nowhere but where it fails."""
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    log = folder / f"server-{ports[0]}.log"
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as said:
        process = subprocess.Popen([*pinned, *command], cwd=folder, stdout=said, stderr=said, env=environment)
    try:
        _wait(process, ports, log)
        yield
    finally:
        process.terminate()
        process.wait(_START_S)


def _wait(process: subprocess.Popen[bytes], ports: Sequence[int], log: Path) -> None:
    end = time.monotonic() + _START_S
    for port in ports:
        while not _is_open(port):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{process.args!r}: port {port} did not open:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)


def _is_open(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0
