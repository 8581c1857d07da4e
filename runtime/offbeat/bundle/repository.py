"""A model repository: a folder of models in Triton's layout, `<model>/<version>/`."""

from __future__ import annotations

import os
import re
from pathlib import Path

from offbeat.bundle.listing import entries, is_folder, is_there
from offbeat.bundle.manifest import NAME_PATTERN
from offbeat.bundle.model_version import MANIFEST, ModelVersion, is_version
from offbeat.errors import BundleError, UnknownModelError
from offbeat.telling import listed


class ModelRepository:
    """Finds models and versions by name, and nothing outside its folder.

    Raises BundleError where the folder does not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not is_folder(self.path):
            raise BundleError(f"{self.path}: no such folder; expected a model repository, <model>/<version>/{MANIFEST}")

    def names(self) -> tuple[str, ...]:
        """The models that have at least one version, sorted."""
        return tuple(
            sorted(entry.name for entry in entries(self.path) if _is_name(entry.name) and self.versions(entry.name))
        )

    def skipped(self) -> dict[str, str]:
        """The folders that hold versions under a name no model can have, each with a sentence that says so.

        Hidden ones, as exports in progress, are no mistake. Raises BundleError where the repository cannot be listed.
        """
        return {
            entry.name: f"folder {entry.name!r} in {self.path} is left out: not a model's name; expected {NAME_PATTERN}"
            for entry in sorted(entries(self.path))
            if not _is_name(entry.name) and not entry.name.startswith(".") and _holds_versions(entry)
        }

    def versions(self, name: str) -> tuple[int, ...]:
        """The versions of a model, ascending; none for a model that is not there."""
        folder = self.path / name
        if not _is_name(name) or not is_folder(folder):
            return ()
        return tuple(int(each.name) for each in _version_folders(folder))

    def open(self, name: str, version: int | None = None) -> ModelVersion:
        """Opens a version, the newest where none is given. Raises UnknownModelError, BundleError."""
        versions = self.versions(name)
        if not versions or (version is not None and version not in versions):
            there = (
                f"versions {', '.join(map(str, versions))}"
                if versions
                else f"models {listed(self.names()) or '(none)'}"
            )
            wanted = f"{name!r}" if version is None else f"{name!r} version {version}"
            raise UnknownModelError(f"{self.path}: no model {wanted}; it holds {there}")
        opened = ModelVersion.open(self.path / name / str(version or versions[-1]))
        opened.check_place()
        return opened


def open_version(path: str | os.PathLike[str]) -> ModelVersion:
    """Opens a version folder; a model's folder stands for its newest version, a repository for its only model.

    Raises BundleError, and says what was found instead.
    """
    folder = Path(path)
    if not is_folder(folder) or is_there(folder / MANIFEST):
        return ModelVersion.open(folder)
    if versions := _version_folders(folder):
        return ModelVersion.open(versions[-1])
    repository = ModelRepository(folder)
    names = repository.names()
    if len(names) == 1:
        return repository.open(names[0])
    found = f"the models {listed(names)}" if names else "nothing of that kind"
    raise BundleError(
        f"{folder}: expected a model version folder, a model, or a repository of one model; found {found}"
    )


def find_versions(path: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Every version folder there, oldest first: one, those of a model, or those of all models of a repository.

    Raises BundleError where there is none. What is in the folders is not looked at.
    """
    folder = Path(path)
    if not is_folder(folder) or is_there(folder / MANIFEST):
        return (folder,)
    found = _version_folders(folder)
    if not found:
        repository = ModelRepository(folder)
        found = tuple(each for name in repository.names() for each in _version_folders(folder / name))
    if not found:
        raise BundleError(f"{folder}: expected a model version folder, a model, or a repository; found none of these")
    return found


def _version_folders(model: Path) -> tuple[Path, ...]:
    numbers = sorted(int(entry.name) for entry in entries(model) if is_version(entry.name) and is_folder(entry))
    return tuple(model / str(number) for number in numbers)


def _holds_versions(folder: Path) -> bool:
    try:
        return is_folder(folder) and bool(_version_folders(folder))
    except BundleError:
        # Not ours to look into, as the lost+found of a disk: nobody's model either.
        return False


def _is_name(name: str) -> bool:
    return re.fullmatch(NAME_PATTERN, name) is not None
