"""Brings versions into service and out of it."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from offbeat.bundle import ModelRepository
from offbeat.config import ServerConfig
from offbeat.errors import BundleError, OffbeatError, UnavailableError
from offbeat.server.models.loading import open_model
from offbeat.server.models.repository_scan import FolderState, folder_state
from offbeat.server.models.unloading import release
from offbeat.server.scoring.model_state import ModelState, VersionStatus
from offbeat.server.scoring.served import ServedModel, ServedModels
from offbeat.server.scoring.workers import WorkerPool
from offbeat.server.telemetry.incident import incident

Result = TypeVar("Result")
_logger = logging.getLogger("offbeat.server")
# How often a version that was taken out is looked at, until nobody waits for it any more.
_DRAIN_INTERVAL_S = 0.01
# What keeps a file from being read and may be over while it lies there as it was: too many open files, a share that is away, rights
# that are not the file's own.
_PASSING = frozenset(
    (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EACCES, errno.EPERM)
)


class VersionLoader:
    """Loads in a thread of its own, and changes what is served on the event loop, in single steps.

    A version that is taken out of service finishes the requests that it has taken, and then its scorer is closed.
    """

    def __init__(self, models: ServedModels, config: ServerConfig) -> None:
        self._models = models
        self._config = config
        # The threads that compute are left alone. All loads are in one thread: the C library keeps what is freed by thread.
        self._loading = WorkerPool(1, "offbeat-loader")
        self._others = WorkerPool(1, "offbeat-watcher")
        # The folders as they were when they were loaded or refused: the same ones would give the same again.
        self._tried: dict[tuple[str, int], FolderState] = {}
        self._retiring: dict[asyncio.Task[None], ServedModel] = {}

    def start(self) -> None:
        """Starts the threads."""
        self._loading.start()
        self._others.start()

    def call(self, function: Callable[[], Result]) -> asyncio.Future[Result]:
        """Runs what waits for the disk in a thread, also while a version is loaded."""
        return self._others.call(function)

    def was_tried(self, name: str, version: int, state: FolderState) -> bool:
        """Whether this very folder was loaded, and not taken out since, or refused."""
        return self._tried.get((name, version)) == state

    async def load(
        self, repository: ModelRepository, name: str, version: int, state: FolderState
    ) -> OffbeatError | None:
        """Puts the version in service, in the place of one that has the same number; or tells why it is refused.

        Then nothing else changes. UnavailableError is for a folder that changes while it is read.
        """
        self._models.announce(name, version)
        try:
            model = await self._loading.call(partial(open_model, repository, name, version, self._config))
        except Exception as error:  # noqa: BLE001 - whatever a folder does to an engine, the others are still served
            known = error if isinstance(error, OffbeatError) else incident(f"loading {name!r} version {version}", error)
            return await self._refuse(repository, name, version, state, known)
        self._tried[name, version] = state
        self._models.loads[name, "ok"] += 1
        displaced = self._models.add(model)
        _logger.info("serving %s", model)
        if displaced is not None:
            self._retire(displaced)
        return None

    def withdraw(self, name: str, version: int) -> asyncio.Task[None] | None:
        """Takes the version out of service; the task ends when all it had taken is answered, and its memory is given back.

        None where it took no requests.
        """
        self._tried.pop((name, version), None)
        model = self._models.remove(name, version)
        if model is None:
            return None
        self._models.note(VersionStatus(name, version, ModelState.UNLOADING))
        return self._retire(model)

    def forget(self, name: str, version: int) -> None:
        """Knows nothing more of a version that takes no requests."""
        self._tried.pop((name, version), None)
        self._models.forget(name, version)

    def stop(self) -> None:
        """Stops the threads, after what they do."""
        self._loading.stop()
        self._others.stop()

    def close(self) -> None:
        """Closes the scorers that are on their way out. No batch may be running."""
        for task, model in self._retiring.items():
            task.cancel()
            model.scorer.close()

    async def _refuse(
        self, repository: ModelRepository, name: str, version: int, state: FolderState, error: OffbeatError
    ) -> OffbeatError:
        try:
            now = await self.call(partial(folder_state, repository.path / name / str(version)))
        except (BundleError, FileNotFoundError):
            now = None
        if now == state:
            if not _may_be_over(error):
                self._tried[name, version] = state
        else:
            error = UnavailableError(f"{repository.path / name / str(version)} changes while it is read; try again")
        self._models.loads[name, "refused"] += 1
        self._models.note(VersionStatus(name, version, ModelState.UNAVAILABLE, str(error)))
        return error

    def _retire(self, model: ServedModel) -> asyncio.Task[None]:
        task = asyncio.create_task(self._end(model))
        self._retiring[task] = model
        task.add_done_callback(lambda ended: self._retiring.pop(ended, None))
        return task

    async def _end(self, model: ServedModel) -> None:
        while True:
            # Also once more after the last batch, whose answers are being sent.
            await asyncio.sleep(_DRAIN_INTERVAL_S)
            if model.is_idle or model.n_hung:
                break
        if model.n_hung:
            _logger.warning("%s is out of service, but keeps its memory: a batch of it hangs", model)
            self._models.end_unloading(model.name, model.version)
            return
        try:
            await self.call(partial(release, model.scorer))
            _logger.info("unloaded %s", model)
        except Exception as error:  # noqa: BLE001 - an engine that cannot be closed is out of service all the same
            incident(f"unloading {model}", error)
        self._models.end_unloading(model.name, model.version)


def _may_be_over(error: BaseException | None) -> bool:
    """Whether the same files might be good at another time."""
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _PASSING):
            return True
        error = error.__cause__
    return False
