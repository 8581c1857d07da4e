"""What a model repository holds, seen from outside: which versions, and whether their files are those of the last time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from offbeat.bundle import ModelRepository
from offbeat.bundle.listing import entries
from offbeat.config import ServerConfig
from offbeat.errors import BundleError, UnknownModelError
from offbeat.server.models.triton_config import policy_of_file
from offbeat.version_policy import VersionPolicy

# Of each file its name, inode, size and time of writing, and who may read it: a file that could not be read may be readable now.
# Not the inode's own time of change: a chown that changes nothing, as each pod's start does it to a volume, would load all anew.
FolderState: TypeAlias = tuple[tuple[str, int, int, int, int, int, int], ...]

_ALL_MODELS = "*"


class ModelFolder(Struct, frozen=True, kw_only=True):
    """A model's versions with the state of their folders, and which of them are to be served."""

    versions: dict[int, FolderState]
    policy: VersionPolicy

    @property
    def wanted(self) -> tuple[int, ...]:
        """The versions to be served, ascending."""
        return self.policy.choose(self.versions)


def scan_repository(repository: ModelRepository, default: VersionPolicy) -> dict[str, ModelFolder | BundleError]:
    """Every model that has a version; in place of one that cannot be looked at, the reason.

    Raises BundleError where the repository itself cannot be listed: that its models are gone is then not known.
    """
    found: dict[str, ModelFolder | BundleError] = {}
    for name in sorted(entry.name for entry in entries(repository.path)):
        try:
            folder = scan_model(repository, name, default)
        except BundleError as error:
            found[name] = error
        else:
            if folder.versions:
                found[name] = folder
    return found


def device_of(repository: ModelRepository) -> int:
    """The number of the device that the repository's folder is on. Raises BundleError where it cannot be looked at."""
    try:
        return repository.path.stat().st_dev
    except OSError as error:
        raise BundleError(f"{repository.path}: {error.strerror}; expected a folder that can be listed") from error


def models_at_start(
    config: ServerConfig, found: Mapping[str, ModelFolder | BundleError]
) -> Mapping[str, ModelFolder | BundleError]:
    """Those of the models found that a start loads. Raises BundleError and UnknownModelError where that refuses it."""
    names, mode, where = config.load_model, config.model_control_mode, config.model_repository
    if mode == "none" and not found:
        raise BundleError(f"{where}: no models; expected <model>/<version>/manifest.json")
    if mode != "explicit" or _ALL_MODELS in names:
        return found
    for name in names:
        if name not in found:
            raise UnknownModelError(
                f"load_model {name!r}: {where} holds {', '.join(found) or 'no models'}; expected one of them"
            )
    return {name: found[name] for name in names}


def reasons_not_loaded(repository: ModelRepository) -> dict[str, str]:
    """Every model that could be loaded, with why it is not: nobody has asked for it, or it cannot be looked at.

    None where the repository itself cannot be listed.
    """
    told: dict[str, str] = {}
    with contextlib.suppress(BundleError):
        for name in sorted(entry.name for entry in entries(repository.path)):
            try:
                if repository.versions(name):
                    told[name] = "not loaded"
            except BundleError as error:
                told[name] = str(error)
    return told


def scan_model(repository: ModelRepository, name: str, default: VersionPolicy) -> ModelFolder:
    """One model; without versions where there is none of that name. Raises BundleError for what cannot be looked at."""
    versions = {}
    for version in repository.versions(name):
        # One that vanishes while it is looked at is gone.
        with contextlib.suppress(FileNotFoundError):
            versions[version] = folder_state(repository.path / name / str(version))
    policy = policy_of_file(repository.path / name) if versions else None
    return ModelFolder(versions=versions, policy=policy or default)


def folder_state(folder: Path) -> FolderState:
    """The state of a folder's files, links not followed. Raises FileNotFoundError, BundleError where it cannot be listed."""
    try:
        with os.scandir(folder) as files:
            stats = [(entry.name, entry.stat(follow_symlinks=False)) for entry in files]
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BundleError(f"{folder}: {error.strerror}; expected a folder that can be listed") from error
    return tuple(
        sorted(
            (name, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_mode, stat.st_uid, stat.st_gid)
            for name, stat in stats
        )
    )
