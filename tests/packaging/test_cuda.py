"""onnxruntime-gpu itself, where there is no GPU, on a stand-in for CUDA's libraries that computes nothing (`fake_cuda`).

What is shown: the provider takes its options, places every node on the GPU, captures and replays; no call is made that CUDA
forbids, in particular while a graph is captured; recurrent layers and products are not rounded to TF32; all memory is given back.
"""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from .environment import Environment
from .stand_in import build_stand_in

_START = "import os, sys; os.environ.update(LD_LIBRARY_PATH=sys.argv[1], FAKE_CUDA_LOG=sys.argv[2]); os.execv(sys.executable, [sys.executable, *sys.argv[3:]])"
_WHERE = "import onnxruntime; print(onnxruntime.__path__[0])"


@pytest.fixture
def headers(environment: Environment, tmp_path: Path) -> Path:
    """NVIDIA's, without the library beside them, which would be found before the stand-in."""
    download = ("-m", "pip", "download", "--quiet", "--no-deps", "--dest", tmp_path / "wheels")
    environment.run("python", *download, "nvidia-cuda-runtime~=13.0", "nvidia-cuda-crt~=13.0", cwd=tmp_path)
    for wheel in (tmp_path / "wheels").iterdir():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(tmp_path, [name for name in archive.namelist() if "/include/" in name])
    return tmp_path / "nvidia" / "cu13" / "include"


@pytest.fixture
def environment(tmp_path: Path, wheel: Path) -> Environment:
    made = Environment(tmp_path / "environment")
    made.install(str(wheel), "onnxruntime-gpu")
    return made


@pytest.mark.timeout(1800)
def test_the_gpu_build_runs_a_model_on_a_stand_in_without_a_call_that_cuda_forbids(
    environment: Environment, headers: Path, model: Path, tmp_path: Path
) -> None:
    where = environment.run("python", "-c", _WHERE, cwd=tmp_path).strip()
    libraries, log = tmp_path / "libraries", tmp_path / "log"
    libraries.mkdir()
    build_stand_in(libraries, headers, Path(where) / "capi" / "libonnxruntime_providers_cuda.so")
    script = Path(__file__).with_name("on_a_stand_in.py")
    start = ("-c", _START, libraries, log, script, model / "1")
    *_, said = environment.run("python", *start, cwd=tmp_path).splitlines()
    seen = json.loads(said)
    assert "is off by" in seen["rehearsal"]
    assert seen["auto"].startswith("native")
    assert seen["description"] == "onnxruntime (CUDAExecutionProvider, CUDA graphs)"
    assert seen["n_windows"] == sum(1 + number % 9 for number in range(200))

    lines = log.read_text().splitlines()
    assert not [line for line in lines if line.startswith("!!")]
    counts = Counter(lines)
    assert counts["begin"] == counts["end"] >= 2 * 2 * 3  # two backends of two streams with three sizes of batch
    assert counts["capture cudnnRNNForward"] > counts["begin"]
    assert counts["run graph"] > counts["begin"]
    assert counts["allocate"] == counts["free"]
