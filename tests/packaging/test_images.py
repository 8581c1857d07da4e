"""The build steps of the Dockerfiles, run for real in a folder: what an engine would do between COPY and COPY --from."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.deploy.container import started
from tests.deploy.manifests import DEPLOY, container_of, stages, text_of
from tests.deploy.test_container import assert_behaves
from tests.runtime import folders

from .environment import run

_PLACES = ("/opt/offbeat", "/build", "/out")


def build_steps(name: str) -> list[str]:
    """The commands of the first stage, less those that install Debian's packages."""
    build, _ = stages(DEPLOY / "docker" / f"{name}.Dockerfile")
    return [each.text for each in build if each.name == "RUN" and not each.text.startswith("apt-get")]


def build(name: str, source: Path, root: Path) -> None:
    """Runs the steps with an image's absolute places below `root`, in a copy of the source, as an engine does."""
    context = shutil.copytree(source, root / "context")
    run(sys.executable, "-m", "venv", root / "python")
    path = os.pathsep.join([str(root / "python" / "bin"), "/usr/local/bin", "/usr/bin", "/bin"])
    for step in build_steps(name):
        for place in _PLACES:
            step = step.replace(f" {place}", f" {root}{place}")
        run("bash", "-euc", step, cwd=context, path=path)


@pytest.mark.timeout(1800)
def test_the_image_for_cpus_is_built_and_serves_as_the_manifests_have_it(sdist: Path, tmp_path: Path) -> None:
    build("cpu", sdist, tmp_path)
    installed, models = tmp_path / "opt/offbeat", tmp_path / "models"
    assert not (installed / "bin/pip").exists()
    folders.write_version(models)
    for manifest in ("kubernetes/offbeat.yaml", "kserve/serving-runtime.yaml"):
        with started(container_of(manifest), models, program=installed / "bin/offbeat") as container:
            assert_behaves(container, within_s=30)


def test_the_image_for_cuda_is_built_by_the_same_steps_with_its_own_extra() -> None:
    assert build_steps("cuda") == [step.replace("[cpu,", "[cuda,") for step in build_steps("cpu")]
    assert build_steps("cuda") != build_steps("cpu")


@pytest.mark.timeout(1800)
def test_the_image_for_the_edge_is_one_small_program_that_needs_no_library(sdist: Path, tmp_path: Path) -> None:
    build("edge", sdist, tmp_path)
    _, last = stages(DEPLOY / "docker/edge.Dockerfile")
    (program,) = (tmp_path / "out").iterdir()
    assert json.loads(text_of(last, "ENTRYPOINT")) == [f"/{program.name}"]
    assert "usage" in run(program, *json.loads(text_of(last, "CMD"))).lower()
    # A program that needs libraries names the loader that finds them.
    assert "INTERP" not in run("readelf", "--program-headers", program)
    assert program.stat().st_size < 3_000_000
