"""What is served, brought into line with what a model repository holds."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from functools import partial

from offbeat.bundle import ModelRepository
from offbeat.errors import BundleError, OffbeatError, UnavailableError, UnknownModelError
from offbeat.server.models.repository_scan import FolderState, ModelFolder, device_of, scan_model, scan_repository
from offbeat.server.models.version_loader import VersionLoader
from offbeat.server.scoring.model_state import ModelState, VersionStatus
from offbeat.server.scoring.served import ServedModels
from offbeat.version_policy import VersionPolicy

_logger = logging.getLogger("offbeat.server")
# A model as it was before it was there.
_ABSENT = ModelFolder(versions={}, policy=VersionPolicy())


class ServedRepository:
    """Loads the versions that a model's policy wants, and takes out the others.

    One change of a model at a time: whoever owns it waits for each call before the next. Belongs to the event loop.
    """

    def __init__(
        self, repository: ModelRepository, default: VersionPolicy, models: ServedModels, loader: VersionLoader
    ) -> None:
        self.repository = repository
        self._default = default
        self._models = models
        self._loader = loader
        self._policies: dict[str, VersionPolicy] = {}
        self._seen: Mapping[str, ModelFolder | BundleError] = {}
        self._told: dict[str, str] = {}
        self._skipped: set[str] = set()
        self._device: int | None = None

    async def scan(self) -> Mapping[str, ModelFolder | BundleError]:
        """What the repository holds. Raises BundleError where it cannot be listed, and where its mount is away."""
        device = await self._loader.call(partial(device_of, self.repository))
        found = await self._loader.call(partial(scan_repository, self.repository, self._default))
        # A mount that is away leaves an empty folder, of the disk below: that its models are gone is then not known either.
        if not found and self._device not in (None, device):
            raise BundleError(f"{self.repository.path}: empty, and on another device than before; expected its mount")
        self._seen, self._device = found, device
        self._tell_skipped(await self._loader.call(self.repository.skipped))
        return self._seen

    async def find(self, name: str) -> ModelFolder:
        """What the repository holds of one model. Raises BundleError, and UnknownModelError where there is none."""
        folder = await self._loader.call(partial(scan_model, self.repository, name, self._default))
        if not folder.versions:
            raise UnknownModelError("failed to poll from model repository: no model of that name has a version")
        return folder

    async def look(self) -> None:
        """Updates every model to what has been there, as it is, since the look before; else it may be a copy in progress.

        Raises BundleError where the repository cannot be listed; that its models are gone is then not known.
        """
        before, found = self._seen, await self.scan()
        for name in sorted({*found, *(status.name for status in self._models.index())}):
            folder = found.get(name)
            if folder is None:
                self._withdraw_others(name, None)
                self.tell(name, [])
            else:
                errors = await self.update(name, folder, before.get(name, _ABSENT))
                if errors:
                    await self.fall_back(name, folder)
                self.tell(name, errors)

    async def update(
        self, name: str, folder: ModelFolder | BundleError, before: ModelFolder | BundleError | None = None
    ) -> list[OffbeatError]:
        """Loads what is wanted, and takes out what is not. Returns why versions, or the model, are refused.

        Where there was a look `before`, versions that have changed since are left for the next one, and those that were
        refused as they are stay refused.
        """
        if isinstance(folder, ModelFolder) and not folder.wanted:
            self._withdraw_others(name, folder)
            there = ", ".join(map(str, folder.versions))
            folder = BundleError(f"{name!r}: version_policy {folder.policy} chooses none of the versions {there}")
        if isinstance(folder, BundleError):
            self._models.note(VersionStatus(name, 0, ModelState.UNAVAILABLE, str(folder)))
            return [folder]
        self._policies[name] = folder.policy
        self._models.forget(name, 0)
        tried = [await self._loader.load(self.repository, name, *each) for each in self._due(name, folder, before)]
        self._withdraw_others(name, folder)
        return [error for error in tried if error is not None]

    async def fall_back(self, name: str, folder: ModelFolder | BundleError) -> None:
        """Where the newest versions were wanted and none is good, puts the newest good one of the others in service.

        It would be in service still, had the server been there before those that are bad.
        """
        if not isinstance(folder, ModelFolder) or folder.policy.n_latest is None:
            return
        for version in sorted(set(folder.versions).difference(folder.wanted), reverse=True):
            if self._models.versions(name):
                return
            error = await self._loader.load(self.repository, name, version, folder.versions[version])
            if error is not None:
                _logger.error("refused: %s", error)

    def tell(self, name: str, errors: list[OffbeatError]) -> None:
        """Logs why something of a model is refused; once, and not what is only to be tried again."""
        text = "; ".join(str(error) for error in errors if not isinstance(error, UnavailableError))
        if text and text != self._told.get(name):
            _logger.error("refused: %s; what was served before is served further", text)
        if text:
            self._told[name] = text
        else:
            self._told.pop(name, None)

    def policy(self, name: str) -> VersionPolicy:
        """By which the versions of the model are chosen."""
        return self._policies.get(name, self._default)

    def _tell_skipped(self, skipped: Mapping[str, str]) -> None:
        """Logs each folder that is no model by its name, once while it is there."""
        for name in skipped.keys() - self._skipped:
            _logger.warning("%s", skipped[name])
        self._skipped = set(skipped)

    def _due(
        self, name: str, folder: ModelFolder, before: ModelFolder | BundleError | None
    ) -> Iterator[tuple[int, FolderState]]:
        for version in folder.wanted:
            state = folder.versions[version]
            was_tried = self._loader.was_tried(name, version, state)
            if before is None:
                # Who asks for it may ask again: what it was refused for may be over.
                if not was_tried or version not in self._models.versions(name):
                    yield version, state
            elif not was_tried and isinstance(before, ModelFolder) and before.versions.get(version) == state:
                yield version, state

    def _withdraw_others(self, name: str, folder: ModelFolder | None) -> None:
        """Takes out the versions wanted no more, once those that are wanted are ready; those that are gone, once any of these is.

        A folder that is exchanged whole has lost the old version before the new one has been looked at twice: somebody must answer.
        """
        wanted, there = ((), {}) if folder is None else (folder.wanted, folder.versions)
        ready = self._models.versions(name)
        is_replaced = bool(wanted) and set(wanted) <= set(ready)
        may_go = not wanted or not set(wanted).isdisjoint(ready)
        for version in ready:
            if version not in wanted and (is_replaced or (may_go and version not in there)):
                self._loader.withdraw(name, version)
        for _, version, state, _ in (status for status in self._models.index() if status.name == name):
            # Version 0 stands for the model.
            is_gone = version not in there if version else folder is None
            if is_gone and state is ModelState.UNAVAILABLE:
                self._loader.forget(name, version)
