"""What is built for others to install."""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

from .environment import ROOT, run


def test_the_source_distribution_holds_what_a_build_needs_and_no_leftovers(sdist: Path) -> None:
    files = {str(path.relative_to(sdist)) for path in sdist.rglob("*") if path.is_file()}
    kept = run("git", "ls-files", "runtime", "export", "training", "proto", "docs", "deploy", cwd=ROOT).split()
    assert set(kept) <= files
    assert not [name for name in files if name.endswith((".so", ".pyc")) or name.startswith(("build/", "tests/"))]


def test_the_source_distribution_builds_the_library_and_its_tests_without_python(sdist: Path, tmp_path: Path) -> None:
    run("cmake", "-S", sdist, "-B", tmp_path)
    assert "golden" in run("ctest", "--test-dir", tmp_path, "--show-only")


def test_the_wheel_needs_nothing_of_the_machine_that_built_it(wheel: Path) -> None:
    # auditwheel refuses a wheel whose libraries are not those that every Linux of the tag has, or copies others in.
    assert re.search(r"-manylinux_2_\d+_x86_64", wheel.name)
    shown = run(sys.executable, "-m", "auditwheel", "show", wheel)
    assert "is consistent with" in shown
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if ".libs/" in name]


def test_the_wheel_is_of_this_python_alone_with_the_core_types_and_licence(wheel: Path) -> None:
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert f"-{tag}-{tag}-" in wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    (extension,) = [name for name in names if name.endswith(".so")]
    assert extension.startswith("offbeat/native/_offbeat_ext.")
    assert {f"{room}/py.typed" for room in ("offbeat", "offbeat_export", "offbeat_training")} <= set(names)
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert not [name for name in names if name.endswith((".cpp", ".h", ".proto", ".pyc"))]
    assert wheel.stat().st_size < 2_000_000
