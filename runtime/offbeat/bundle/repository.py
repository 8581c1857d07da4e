"""A model repository: a folder of models in Triton's layout, `<model>/<version>/`."""

from __future__ import annotations

import os
import re
from pathlib import Path

from offbeat.bundle.manifest import NAME_PATTERN
from offbeat.bundle.model_version import MANIFEST, ModelVersion
from offbeat.errors import BundleError, UnknownModelError


class ModelRepository:
    """Finds models and versions by name, and nothing outside its folder.

    Raises BundleError where the folder does not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise BundleError(f"{self.path}: no such folder; expected a model repository, <model>/<version>/{MANIFEST}")

    def names(self) -> tuple[str, ...]:
        """The models that have at least one version, sorted."""
        return tuple(
            sorted(entry.name for entry in self.path.iterdir() if _is_name(entry.name) and self.versions(entry.name))
        )

    def versions(self, name: str) -> tuple[int, ...]:
        """The versions of a model, ascending; none for a model that is not there."""
        folder = self.path / name
        if not _is_name(name) or not folder.is_dir():
            return ()
        return tuple(
            sorted(int(entry.name) for entry in folder.iterdir() if _is_version(entry.name) and entry.is_dir())
        )

    def open(self, name: str, version: int | None = None) -> ModelVersion:
        """Opens a version, the newest where none is given. Raises UnknownModelError, BundleError."""
        versions = self.versions(name)
        if not versions or (version is not None and version not in versions):
            there = (
                f"versions {', '.join(map(str, versions))}"
                if versions
                else f"models {', '.join(self.names()) or '(none)'}"
            )
            wanted = f"{name!r}" if version is None else f"{name!r} version {version}"
            raise UnknownModelError(f"{self.path}: no model {wanted}; it holds {there}")
        opened = ModelVersion.open(self.path / name / str(version or versions[-1]))
        _check_identity(opened, name, version or versions[-1])
        return opened


def open_version(path: str | os.PathLike[str]) -> ModelVersion:
    """Opens a version folder; a model's folder stands for its newest version, a repository for its only model.

    Raises BundleError, and says what was found instead.
    """
    folder = Path(path)
    if (folder / MANIFEST).exists() or not folder.is_dir():
        return ModelVersion.open(folder)
    versions = sorted(int(entry.name) for entry in folder.iterdir() if _is_version(entry.name) and entry.is_dir())
    if versions:
        return ModelVersion.open(folder / str(versions[-1]))
    repository = ModelRepository(folder)
    names = repository.names()
    if len(names) == 1:
        return repository.open(names[0])
    found = f"the models {', '.join(names)}" if names else "nothing of that kind"
    raise BundleError(
        f"{folder}: expected a model version folder, a model, or a repository of one model; found {found}"
    )


def _is_name(name: str) -> bool:
    return re.fullmatch(NAME_PATTERN, name) is not None


def _is_version(name: str) -> bool:
    return re.fullmatch(r"[1-9][0-9]{0,17}", name) is not None


def _check_identity(version: ModelVersion, name: str, number: int) -> None:
    manifest = version.manifest
    if (manifest.name, manifest.version) != (name, number):
        raise BundleError(
            f"{version.path}: {MANIFEST} says model {manifest.name!r} version {manifest.version}; the folder says {name!r} version {number}"
        )
