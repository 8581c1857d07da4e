"""Every extra in a fresh environment of its own, from the wheel, and what it is for done once."""

from __future__ import annotations

import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from .environment import CONSTRAINTS, ROOT, Environment

_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
_NEED_TORCH = {"training", "export", "all", "dev"}
_SERVE_AND_SCORE = """
import asyncio, sys
import numpy, offbeat
from pathlib import Path
from offbeat.config import ServerConfig
from offbeat.server import Server

async def main():
    server = Server(ServerConfig(model_repository=Path(sys.argv[1]), port=0))
    await server.start()
    async with offbeat.AsyncClient(f"127.0.0.1:{server.port}") as client:
        result = await client.score(numpy.zeros((2, 12, 2), numpy.float32), model="server-metrics")
    await server.stop()
    print("scored", result.reconstruction_error.shape)

asyncio.run(main())
"""
_HAS_CUDA = "import onnxruntime; assert 'CUDAExecutionProvider' in onnxruntime.get_available_providers()"
# Only the test needs these.
_PYTEST = ("python", "-m", "pip", "install", "--quiet", "hypothesis", "onnx", "pytest", "pytest-timeout", "safetensors")
_SHORT = ("--seq-len", "12", "--hidden-size", "8", "--epochs", "1", "--n-threads", "1")
_TRAIN = ("offbeat", "train", "{rows}", "--label-column", "label", *_SHORT, "--out", "m.ckpt")
_EXPORT = ("offbeat", "export", "m.ckpt", "--model-repository", "models", "--name", "server-metrics")
_SCORE = ("offbeat", "score", "{rows}", "--model", "{model}", "--out", "scores.csv")
# What each is for. An extra that is not here must install, and leave the command line as it was.
_SMOKE: dict[str, tuple[tuple[str, ...], ...]] = {
    "": (("offbeat", "inspect", "{model}"), ("offbeat", "verify", "{model}", "--backend", "native")),
    "cpu": (("offbeat", "verify", "{model}", "--backend", "onnxruntime"),),
    "cuda": (("python", "-c", _HAS_CUDA), ("offbeat", "verify", "{model}", "--backend", "onnxruntime")),
    "data": (_SCORE,),
    "server": (
        ("offbeat", "serve", "{repository}", "--check"),
        ("python", "-c", _SERVE_AND_SCORE, "{repository}"),
    ),
    "tracing": (
        ("python", "-c", "import offbeat.server.telemetry.tracing, opentelemetry.sdk"),
        ("offbeat", "serve", "{repository}", "--check"),
    ),
    "training": (_TRAIN,),
    "export": (_TRAIN, _EXPORT, ("offbeat", "inspect", "m.ckpt"), ("offbeat", "verify", "models")),
    "all": (_TRAIN, _EXPORT, ("offbeat", "verify", "models"), ("python", "-c", _SERVE_AND_SCORE, "models"), _SCORE),
    "spark": (_PYTEST, ("python", "-m", "pytest", "-p", "no:cacheprovider", str(ROOT / "tests" / "spark"))),
    "ray": (_PYTEST, ("python", "-m", "pytest", "-p", "no:cacheprovider", str(ROOT / "tests" / "ray"))),
    "docs": (("mkdocs", "--version"),),
    "dev": (("pytest", "--version"), ("ruff", "--version"), ("mypy", "--version"), ("lint-imports", "--help")),
}


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    """One at a time: torch alone is a gigabyte."""
    yield Environment(tmp_path / "environment")
    shutil.rmtree(tmp_path / "environment")


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("extra", ["", *_PROJECT["optional-dependencies"]])
def test_an_extra_installs_by_itself_and_does_what_it_is_for(
    extra: str, wheel: Path, model: Path, rows: Path, environment: Environment, tmp_path: Path
) -> None:
    if extra in _NEED_TORCH:
        environment.install("torch")
    if extra == "cuda":
        # NVIDIA's libraries are gigabytes, and nothing here can use them: that they can be had must do.
        environment.resolve(f"{wheel}[cuda]")
        environment.install(str(wheel), "onnxruntime-gpu")
    else:
        environment.install(f"{wheel}[{extra}]" if extra else str(wheel))
    assert "native core" in environment.run("offbeat", "version", cwd=tmp_path)
    places = {"{model}": str(model), "{repository}": str(model.parent), "{rows}": str(rows)}
    for program, *arguments in _SMOKE.get(extra, ()):
        environment.run(program, *(places.get(each, each) for each in arguments), cwd=tmp_path)


def test_without_torch_offbeat_is_small(wheel: Path, environment: Environment) -> None:
    environment.install("onnxruntime", "--compile")
    alone = environment.sizes()
    environment.install(f"{wheel}[cpu]", "--compile")
    scoring = _beside(alone, environment.sizes())
    environment.install(f"{wheel}[cpu,server]", "--compile")
    serving = _beside(alone, environment.sizes())
    table = "".join(
        f"{size / 1e6:8.2f} MB  {name}\n" for name, size in sorted(serving.items(), key=lambda each: -each[1])
    )
    totals = f"[cpu] {sum(scoring.values()) / 1e6:.1f} MB, [cpu,server] {sum(serving.values()) / 1e6:.1f} MB"
    sys.stdout.write(f"{table}beside onnxruntime and what it needs ({', '.join(sorted(alone))}): {totals}\n")
    assert "torch" not in serving
    assert sum(scoring.values()) < 30 * 2**20
    # gRPC and uvloop alone are more than 30 MB: what is held here is that it does not grow unseen.
    assert sum(serving.values()) < 70 * 2**20


def _beside(alone: dict[str, int], together: dict[str, int]) -> dict[str, int]:
    return {name: size for name, size in together.items() if name not in alone}


def test_both_builds_of_onnxruntime_are_pinned() -> None:
    extras, pinned = _PROJECT["optional-dependencies"], CONSTRAINTS.read_text()
    for requirement in (*extras["cpu"], *extras["cuda"]):
        (name,) = re.findall(r"^[\w-]+", requirement)
        assert f"\n{name}==" in pinned
