"""A tritonserver out of the wheel of nvidia-pytriton, with a model repository as it was exported, as docs/triton.md starts it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import grpc

from benchmarks.ports import free_ports
from offbeat.inference.open_inference_pb2 import ServerReadyRequest, ServerReadyResponse

_MODEL = Path(__file__).parents[2] / "deploy" / "triton" / "model.py"
_READY = "/inference.GRPCInferenceService/ServerReady"
_START_S, _STOP_S = 120.0, 5


@contextmanager
def tritonserver(packages: Path, repository: Path, folder: Path, core: int | None = None) -> Iterator[str]:
    """Gives host:port of its gRPC, once every model is ready; on that core alone where one is given.

    `packages` is the folder in which pip has put pytriton; offbeat is this Python's. `folder` takes the backends and the log.
    Raises SystemExit with the end of the log where it ends before it is ready.
    """
    server = packages / "pytriton" / "tritonserver"
    (port,) = free_ports(1)
    target = f"127.0.0.1:{port}"
    log = folder / "triton.log"
    command = [] if core is None else ["taskset", "-c", str(core)]
    command += [
        str(server / "bin" / "tritonserver"),
        f"--model-repository={repository}",
        f"--backend-directory={_backends(server, folder)}",
        *("--grpc-address=127.0.0.1", f"--grpc-port={port}"),
        *("--allow-http=false", "--allow-metrics=false", f"--exit-timeout-secs={_STOP_S}"),
    ]
    environment = os.environ | {
        "LD_LIBRARY_PATH": str(packages / "nvidia_pytriton.libs"),
        "PYTHONPATH": sysconfig.get_path("purelib"),
        "OMP_NUM_THREADS": "1",
    }
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment)
    try:
        _wait(process, target, log)
        yield target
    finally:
        process.terminate()
        process.wait(12 * _STOP_S)


def _backends(server: Path, folder: Path) -> Path:
    """Triton's Python backend with this Python's stub, and offbeat's model in the place of the ONNX Runtime backend."""
    backends = folder / "backends"
    shutil.copytree(server / "backends" / "python", backends / "python")
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copy(server / "python_backend_stubs" / minor / "triton_python_backend_stub", backends / "python")
    (backends / "onnxruntime").mkdir()
    shutil.copy(_MODEL, backends / "onnxruntime")
    return backends


def _wait(process: subprocess.Popen[bytes], target: str, log: Path) -> None:
    end = time.monotonic() + _START_S
    with closing(grpc.insecure_channel(target)) as channel:
        ask = channel.unary_unary(
            _READY,
            request_serializer=ServerReadyRequest.SerializeToString,
            response_deserializer=ServerReadyResponse.FromString,
        )
        while process.poll() is None and time.monotonic() < end:
            try:
                if ask(ServerReadyRequest(), timeout=1, wait_for_ready=True).ready:
                    return
            except grpc.RpcError:
                continue
            time.sleep(0.1)
    raise SystemExit(f"tritonserver is not ready:\n{log.read_text()[-4000:]}")
