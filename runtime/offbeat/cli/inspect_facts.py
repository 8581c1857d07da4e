"""What there is to say of a folder, an ONNX file or a checkpoint, as plain values."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import msgspec

from offbeat.bundle import ModelRepository, ModelVersion
from offbeat.bundle.listing import is_there
from offbeat.bundle.model_version import MODEL_SAFETENSORS
from offbeat.bundle.multiply_adds import MultiplyAdds, count_multiply_adds
from offbeat.bundle.safetensors_file import SafetensorsFile
from offbeat.errors import BundleError, MissingExtraError, OffbeatError

# What other packages know to inspect: functions of a path that return facts. `offbeat` has neither torch nor onnx.
ENTRY_POINT_GROUP = "offbeat.inspectors"
_EXPECTED = "a model version folder, a model, a repository, an ONNX file (.onnx) or a checkpoint"

Facts = dict[str, Any]


def version_facts(version: ModelVersion) -> Facts:
    """A version folder: its manifest, and what follows from its layer plan. Digests and golden windows are checked."""
    version.golden()
    facts: Facts = {"kind": "version", "path": str(version.path)} | msgspec.to_builtins(version.manifest)
    plan = _plan(version)
    if plan is not None:
        products = count_multiply_adds(plan, str(version.path / MODEL_SAFETENSORS))
        facts["multiply_adds"] = multiply_add_facts(products, facts["window"])
    return facts


def multiply_add_facts(products: MultiplyAdds, window: Facts | None) -> Facts:
    """The products that one window of the trained length needs, and how they grow with its length."""
    n_steps = 1 if window is None else window["length"]
    return {"n": products.of(n_steps), "per_window": products.per_window, "per_step": products.per_step}


def repository_facts(repository: ModelRepository) -> Facts:
    """The models of a repository, each by its newest version; `problem` where that is not what its manifest says."""
    models = []
    for name in repository.names():
        facts: Facts = {"name": name, "versions": list(repository.versions(name)), "problem": None}
        try:
            facts["newest"] = version_facts(repository.open(name))
        except OffbeatError as error:
            facts["problem"] = str(error)
        models.append(facts)
    return {"kind": "repository", "path": str(repository.path), "models": models}


def file_facts(path: Path) -> Facts:
    """An ONNX file or a checkpoint, by whichever inspector knows it. Raises BundleError, MissingExtraError, CheckpointError."""
    if path.suffix == ".onnx":
        return _inspector("onnx")(path)
    try:
        is_archive = path.is_file() and zipfile.is_zipfile(path)
    except OSError:
        is_archive = False
    if is_archive or path.suffix == ".ckpt":
        return _inspector("checkpoint")(path)
    there = "is neither" if is_there(path) else "no such file or folder"
    raise BundleError(f"{path}: {there}; expected {_EXPECTED}")


def _inspector(name: str) -> Callable[[Path], Facts]:
    for point in entry_points(group=ENTRY_POINT_GROUP, name=name):
        try:
            inspector: Callable[[Path], Facts] = point.load()
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f"inspecting a file of kind {name} needs {error.name}; pip install 'offbeat[export]'"
            ) from error
        return inspector
    raise MissingExtraError(f"nothing installed here inspects a file of kind {name}; pip install 'offbeat[export]'")


def _plan(version: ModelVersion) -> str | None:
    if MODEL_SAFETENSORS not in version.manifest.files:
        return None
    where = str(version.path / MODEL_SAFETENSORS)
    plan = SafetensorsFile.from_bytes(version.read(MODEL_SAFETENSORS), where).metadata.get("plan")
    if plan is None:
        raise BundleError(f"{where}: its metadata has no layer plan; expected one under the key plan")
    return plan
