"""Starts offbeat as a container engine would by a manifest: its arguments and environment, other ports and another folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.ports import free_ports

from .manifests import DEPLOY, Object, environment_of, stages

OFFBEAT = Path(sys.executable).with_name("offbeat")
# A root file system that nobody can write to, seen by this process alone; a user that owns nothing, and may become nobody else.
_CONFINEMENT = (
    *("unshare", "--mount", "--", "sh", "-c"),
    'mount -o remount,bind,ro / && cd / && exec setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --bounding-set=-all "$@"',
    "sh",
)


def confinement() -> tuple[str, ...]:
    """What a command is put behind, or nothing where this machine does not allow it."""
    probe = "import os, pathlib; assert os.getuid() == 10001\ntry: pathlib.Path('/tmp/x').touch()\nexcept OSError: print('confined')"
    try:
        command = [*_CONFINEMENT, str(OFFBEAT.with_name("python")), "-c", probe]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ()
    return _CONFINEMENT if done.stdout == "confined\n" else ()


class Container:
    """A running server, and what the kubelet does to it."""

    def __init__(self, process: subprocess.Popen[str], container: Object, ports: dict[int, int]) -> None:
        self.process, self._container, self._ports = process, container, ports
        self.target = f"127.0.0.1:{ports[9000]}"

    def passes(self, probe: str) -> bool:
        """Asks once, as the manifest says."""
        said = self._container[probe]
        if "grpc" in said:
            return self._is_serving(self._ports[said["grpc"]["port"]], said["grpc"].get("service", ""))
        return self._answers(self._port(said["httpGet"]["port"]), said["httpGet"]["path"])

    def wait_for(self, probe: str) -> None:
        """Asks until it passes, as often as the manifest allows, but faster."""
        end = time.monotonic() + self._container[probe]["periodSeconds"] * self._container[probe]["failureThreshold"]
        while not self.passes(probe):
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < end
            time.sleep(0.05)

    def scrape(self, port: int, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._ports[port]}{path}", timeout=20) as reply:
            text: str = reply.read().decode()
        return text

    def output(self) -> str:
        """What the server has printed; for when it has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.read()

    def terminate(self, within_s: float) -> int:
        """SIGTERM, and how the process ended. Raises TimeoutExpired where the kubelet would have killed it."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within_s)

    def _port(self, named: int | str) -> int:
        by_name = {port.get("name"): port["containerPort"] for port in self._container["ports"]}
        return self._ports[by_name[named] if isinstance(named, str) else named]

    def _is_serving(self, port: int, service: str) -> bool:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            try:
                request = health_pb2.HealthCheckRequest(service=service)
                reply = health_pb2_grpc.HealthStub(channel).Check(request, timeout=20)
            except grpc.RpcError:
                return False
            return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)

    def _answers(self, port: int, path: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as reply:
                return bool(reply.status == 200)
        except (urllib.error.URLError, ConnectionError):
            return False


@contextmanager
def started(
    container: Object, models: Path, confined_by: tuple[str, ...] = (), program: Path = OFFBEAT
) -> Iterator[Container]:
    """The server of a manifest's container in the image for CPUs: its environment, then the container's, and nothing of ours."""
    ports = dict(zip((9000, 8002), free_ports(2), strict=True))
    image = environment_of(stages(DEPLOY / "docker" / "cpu.Dockerfile")[-1])
    set_here = {each["name"]: each["value"] for each in container.get("env", ())}
    environment = {**image, **set_here, "PATH": f"{program.parent}:/usr/bin:/bin", "HOME": "/"}
    arguments = [_here(each, ports, models) for each in container["args"]]
    process = subprocess.Popen(
        [*confined_by, str(program), *arguments],
        env={name: _here(value, ports, models) for name, value in environment.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd="/",
    )
    try:
        yield Container(process, container, ports)
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _here(value: str, ports: dict[int, int], models: Path) -> str:
    for port, free in ports.items():
        value = re.sub(rf"(?<!\d){port}(?!\d)", str(free), value)
    return value.replace("/mnt/models", str(models))
