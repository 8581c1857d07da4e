"""pip on a machine without a compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_SOURCES = ("CMakeLists.txt", "LICENSE", "README.md", "pyproject.toml", "runtime", "export", "training")
# The interpreter that runs the tests finds the editable installation first, by a finder of its own.
_PREPARE = """
import sys
sys.meta_path[:] = [each for each in sys.meta_path if "ScikitBuild" not in type(each).__name__]
sys.path.insert(0, {target!r})
"""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """offbeat as pip installs it where every compiler fails."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    for name in _SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        else:
            shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    environment = os.environ | {"CC": "/bin/false", "CXX": "/bin/false"}
    subprocess.run([*command, "--target", str(target), str(source)], check=True, env=environment)
    return target


def run_there(target: Path, code: str) -> str:
    command = [sys.executable, "-c", _PREPARE.format(target=str(target)) + code]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=target).stdout


def test_without_a_compiler_the_package_is_installed_without_the_core_and_says_so(target: Path) -> None:
    output = run_there(target, "import offbeat.native; print(offbeat.__file__); print(offbeat.native.why_missing())")
    assert output.splitlines() == [
        str(target / "offbeat" / "__init__.py"),
        "offbeat was installed without its native core; install a C++20 compiler, then offbeat again",
    ]
    assert not list(target.rglob("*.so"))


def test_what_needs_the_core_refuses_with_the_reason(target: Path) -> None:
    code = """
from offbeat import native
try:
    native.Session
except ImportError as error:
    print(error)
"""
    assert "installed without its native core" in run_there(target, code)


def test_the_command_line_tells_it(target: Path) -> None:
    code = "import sys; sys.argv = ['offbeat', 'version', '--json']; from offbeat.cli import main; main()"
    assert "installed without its native core" in run_there(target, code)
