"""KServe's objects against the fields and types that its own Python package has for them."""

from __future__ import annotations

import ast
import copy
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.manifests import object_of

from .environment import run

_PLAIN = {"str": str, "bool": bool, "int": int, "float": float, "object": object}
_OBJECTS = {
    "ServingRuntime": ("kserve/serving-runtime.yaml", "V1alpha1ServingRuntime"),
    "InferenceService": ("kserve/inference-service.yaml", "V1beta1InferenceService"),
}


class Models:
    """The models that KServe generates from its definitions: for each the type of each key."""

    def __init__(self, wheel: Path) -> None:
        self._archive = zipfile.ZipFile(wheel)

    def fields(self, name: str) -> dict[str, str] | None:
        """Types by key, or None where the type is not KServe's but Kubernetes' own."""
        path = f"kserve/models/{re.sub(r'(?<!^)(?=[A-Z])', '_', name).lower()}.py"
        if path not in self._archive.namelist():
            return None
        assigned = {
            statement.targets[0].id: ast.literal_eval(statement.value)
            for statement in ast.walk(ast.parse(self._archive.read(path)))
            if isinstance(statement, ast.Assign)
            and isinstance(statement.targets[0], ast.Name)
            and statement.targets[0].id in ("openapi_types", "attribute_map")
        }
        return {key: assigned["openapi_types"][name] for name, key in assigned["attribute_map"].items()}

    def problems(self, value: Any, type_name: str, where: str) -> Iterator[str]:
        """What does not fit, with its place."""
        if listed := re.fullmatch(r"list\[(.+)\]", type_name):
            if not isinstance(value, list):
                yield f"{where} is no list"
                return
            for number, each in enumerate(value):
                yield from self.problems(each, listed[1], f"{where}[{number}]")
        elif type_name in _PLAIN or type_name.startswith("dict("):
            if not isinstance(value, _PLAIN.get(type_name, dict)):
                yield f"{where} is {value!r}, not {type_name}"
        elif (fields := self.fields(type_name)) is not None:
            for key, each in value.items():
                if key in fields:
                    yield from self.problems(each, fields[key], f"{where}.{key}")
                else:
                    yield f"{where} has no {key}"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Of the package alone: what it depends on contradicts ours."""
    folder = tmp_path_factory.mktemp("kserve")
    run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, "kserve")
    (wheel,) = folder.glob("kserve-*.whl")
    return Models(wheel)


@pytest.mark.parametrize("kind", _OBJECTS)
def test_kserve_knows_every_field_and_its_type(models: Models, kind: str) -> None:
    path, type_name = _OBJECTS[kind]
    assert list(models.problems(object_of(path, kind), type_name, kind)) == []


def test_a_misspelt_field_or_another_type_is_found(models: Models) -> None:
    path, type_name = _OBJECTS["InferenceService"]
    spoilt = copy.deepcopy(object_of(path, "InferenceService"))
    model = spoilt["spec"]["predictor"]["model"]
    model["storageURI"] = model.pop("storageUri")
    spoilt["spec"]["predictor"]["minReplicas"] = "1"
    assert list(models.problems(spoilt, type_name, "InferenceService")) == [
        "InferenceService.spec.predictor.minReplicas is '1', not int",
        "InferenceService.spec.predictor.model has no storageURI",
    ]
