"""What `cmake --install` writes is enough to build and run the examples, with CMake and with pkg-config."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.native.edge_program import BUILD, GOLDEN, csv_rows, expected_errors, needs_build

EXAMPLES = Path(__file__).parents[2] / "examples"
MODEL = GOLDEN / "state" / "1" / "model.safetensors"
N_STEPS = 12

pytestmark = [needs_build, pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake")]


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("install") / "prefix"
    _run("cmake", "--install", str(BUILD), "--prefix", str(folder))
    return folder


@pytest.mark.parametrize(
    ("language", "options"),
    [("c", []), ("cpp", ["-DBUILD_SHARED_LIBS=OFF"]), ("cpp", ["-DBUILD_SHARED_LIBS=ON"])],
    ids=["c", "cpp, static", "cpp, shared"],
)
def test_an_example_is_built_by_find_package(language: str, options: list[str], prefix: Path, tmp_path: Path) -> None:
    source = ["-S", str(EXAMPLES / language), "-B", str(tmp_path)]
    _run("cmake", *source, f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=Release", *options)
    _run("cmake", "--build", str(tmp_path))
    _check_scores(tmp_path / "score", {})


@pytest.mark.skipif(shutil.which("pkg-config") is None, reason="needs pkg-config")
@pytest.mark.parametrize(("compiler", "source"), [("cc", "c/score.c"), ("c++", "cpp/score.cpp")])
@pytest.mark.parametrize("link", ["shared", "static"])
def test_an_example_is_built_by_pkg_config(compiler: str, source: str, link: str, prefix: Path, tmp_path: Path) -> None:
    [library] = [folder for folder in prefix.glob("lib*") if (folder / "pkgconfig").is_dir()]
    environment = {"PKG_CONFIG_PATH": str(library / "pkgconfig")}
    static = ["--static"] if link == "static" else []
    flags = _run("pkg-config", "--cflags", "--libs", *static, "offbeat", environment=environment).split()
    if static:
        flags = [str(library / "liboffbeat.a") if flag == "-loffbeat" else flag for flag in flags]
    standard = "-std=c11" if compiler == "cc" else "-std=c++20"
    _run(compiler, standard, str(EXAMPLES / source), "-o", str(tmp_path / "score"), *flags)
    _check_scores(tmp_path / "score", {} if static else {"LD_LIBRARY_PATH": str(library)})


def test_another_minor_version_is_not_found(prefix: Path, tmp_path: Path) -> None:
    text = "cmake_minimum_required(VERSION 3.24)\nproject(asks LANGUAGES CXX)\nfind_package(offbeat 0.9 REQUIRED)\n"
    (tmp_path / "CMakeLists.txt").write_text(text)
    command = ["cmake", "-S", str(tmp_path), "-B", str(tmp_path / "build"), f"-DCMAKE_PREFIX_PATH={prefix}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert 'requested version "0.9"' in result.stderr


def test_the_shared_library_shows_only_its_interface(prefix: Path) -> None:
    [library] = list(prefix.glob("lib*/liboffbeat.so"))
    symbols = _run("nm", "--dynamic", "--defined-only", "--demangle", "--format=posix", str(library))
    hidden = [line for line in symbols.splitlines() if "kernels" in line or "json" in line or "Plan" in line]
    assert "offbeat_score" in symbols
    assert hidden == []


def _check_scores(program: Path, environment: dict[str, str]) -> None:
    """The program's errors are ONNX Runtime's for the same windows."""
    rows = csv_rows(n_rows=30, n_features=2)
    out = _run(str(program), str(MODEL), str(N_STEPS), environment=environment, stdin=rows)
    seen = np.array([line.split(",") for line in out.splitlines()], np.float64)
    np.testing.assert_allclose(seen[:, 0], expected_errors("state", rows, N_STEPS), rtol=1e-5)
    # Only the first line may be one of names: any other that is no row is an error, not a gap in the window.
    torn = "\n".join([*rows.splitlines()[:20], "lost", *rows.splitlines()[20:]])
    given = {**os.environ, **environment}
    refused = subprocess.run(
        [program, MODEL, str(N_STEPS)], env=given, input=torn, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "score: line 21: expected 2 numbers between commas" in refused.stderr


def _run(*command: str, environment: dict[str, str] | None = None, stdin: str | None = None) -> str:
    variables = {**os.environ, **(environment or {})}
    result = subprocess.run(command, env=variables, input=stdin, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{' '.join(command)}: {result.stdout}{result.stderr}"
    return result.stdout
