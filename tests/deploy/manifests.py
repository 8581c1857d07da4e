"""The files of deploy/ as Kubernetes and a container engine read them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILES = sorted((DEPLOY / "docker").glob("*.Dockerfile"))

Object = dict[str, Any]


class Instruction(NamedTuple):
    """One instruction of a Dockerfile, its lines joined."""

    name: str
    text: str


def objects(path: str) -> list[Object]:
    """The objects of a file of manifests."""
    return list(yaml.safe_load_all((DEPLOY / path).read_text()))


def object_of(path: str, kind: str) -> Object:
    (found,) = [each for each in objects(path) if each["kind"] == kind]
    return found


def container_of(path: str) -> Object:
    """The one container of a Deployment, or of a ServingRuntime."""
    spec = next(each["spec"] for each in objects(path) if each["kind"] in ("Deployment", "ServingRuntime"))
    (container,) = spec.get("template", {"spec": spec})["spec"]["containers"]
    assert isinstance(container, dict)
    return container


def stages(dockerfile: Path) -> list[list[Instruction]]:
    """The instructions of each stage; comments are left out."""
    lines = [line for line in dockerfile.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found: list[list[Instruction]] = []
    for line in filter(None, joined.splitlines()):
        instruction = Instruction(*line.split(None, 1))
        if instruction.name == "FROM":
            found.append([])
        found[-1].append(instruction)
    return found


def environment_of(stage: list[Instruction]) -> dict[str, str]:
    """What the ENV instructions of a stage set."""
    pairs = [pair for each in stage if each.name == "ENV" for pair in shlex.split(each.text)]
    return dict(pair.split("=", 1) for pair in pairs)


def text_of(stage: list[Instruction], name: str) -> str:
    """The last instruction of that name in a stage."""
    return [each.text for each in stage if each.name == name][-1]
