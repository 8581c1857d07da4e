"""Who decides which models are served: the start, the repository's folders, or a client."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import msgspec

from offbeat.bundle import ModelRepository
from offbeat.config import ServerConfig
from offbeat.errors import OffbeatError, UnavailableError, UnknownModelError, quoted
from offbeat.scorer import Scorer
from offbeat.server.models.repository_scan import ModelFolder, models_at_start, reasons_not_loaded
from offbeat.server.models.served_repository import ServedRepository
from offbeat.server.models.version_loader import VersionLoader
from offbeat.server.scoring.model_state import ModelState, VersionStatus
from offbeat.server.scoring.served import ServedModel, ServedModels
from offbeat.server.telemetry.incident import incident
from offbeat.version_policy import VersionPolicy

Result = TypeVar("Result")
_logger = logging.getLogger("offbeat.server")


class ModelControl:
    """Loads the models at the start, and changes later what is served as `config.model_control_mode` says.

    Belongs to the event loop. Making it starts nothing.
    """

    def __init__(self, models: ServedModels, config: ServerConfig) -> None:
        self._models = models
        self._config = config
        self._loader = VersionLoader(models, config)
        self._served: ServedRepository | None = None
        # One change at a time: the start, or a look at the repository.
        self._lock = asyncio.Lock()
        # And, after the start, one of each model by clients: who takes a model out must not wait for another's load.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[Any]] = set()
        # One look for the index at a time, and the one that comes next.
        self._looking = asyncio.Lock()
        self._next_look: asyncio.Task[dict[str, str]] | None = None
        self.has_started = False
        models.is_announced = False

    async def start(self, scorers: Sequence[Scorer] | None) -> None:
        """Serves the scorers; where none are given, loads what is to be served from the start, and begins to watch in mode poll.

        Raises BundleError, BackendError, ConfigurationError and UnknownModelError, for a model's sake only with `exit_on_error`.
        """
        if scorers is None:
            await self._start()
        for scorer in scorers or ():
            model = ServedModel(scorer, self._config.batching)
            self._models.add(model)
            _logger.info("serving %s", model)
        self._models.is_announced = self.has_started = True

    async def load(self, name: str, policy: VersionPolicy | None = None) -> None:
        """Loads the model's versions that are wanted and not served as they lie there, and takes the others out.

        `policy` goes before the model's own. Raises UnavailableError where the mode is not explicit, UnknownModelError, and,
        where versions are refused, the first one's error; those that are good are served then all the same.
        """
        served = self._explicit()
        # Whoever asks for this may go away; it is done all the same.
        await asyncio.shield(self._spawn(self._load(served, name, policy)))

    async def unload(self, name: str) -> None:
        """Takes all versions of the model out; returns when they have answered, and their memory is given back.

        Raises UnavailableError where the mode is not explicit, UnknownModelError.
        """
        self._explicit()
        await asyncio.shield(self._spawn(self._unload(name)))

    async def index(self) -> list[VersionStatus]:
        """Every version and its state, by name and version. Models that could be loaded are told as version 0."""
        told = self._models.index()
        if self._served is None or self._config.model_control_mode != "explicit":
            return told
        names = {status.name for status in told}
        there = await self._listed(self._served.repository)
        told += [
            VersionStatus(name, 0, ModelState.UNAVAILABLE, why) for name, why in there.items() if name not in names
        ]
        return sorted(told)

    async def _listed(self, repository: ModelRepository) -> dict[str, str]:
        """What `reasons_not_loaded` tells, begun after this was called; all who call meanwhile share one look at the disk.

        Anyone may ask, and go away: a look for each would keep those waiting who load and unload.
        """
        if self._next_look is None:
            self._next_look = self._spawn(self._look(repository))
        return await asyncio.shield(self._next_look)

    async def _look(self, repository: ModelRepository) -> dict[str, str]:
        async with self._looking:
            self._next_look = None
            return await self._loader.call(partial(reasons_not_loaded, repository))

    def policy(self, name: str) -> VersionPolicy | None:
        """By which the versions of the model are chosen; None where there is no repository."""
        return None if self._served is None else self._served.policy(name)

    def stop(self) -> None:
        """Loads nothing more."""
        for task in self._tasks:
            task.cancel()
        self._loader.stop()

    def close(self) -> None:
        """Closes every scorer. No batch may be running."""
        self._loader.close()
        for model in self._models.ready():
            model.scorer.close()

    async def _start(self) -> None:
        default = VersionPolicy.parse(self._config.version_policy)
        repository = ModelRepository(self._config.model_repository)
        served = self._served = ServedRepository(repository, default, self._models, self._loader)
        self._loader.start()
        async with self._lock:
            chosen = models_at_start(self._config, await served.scan())
            for name, folder in chosen.items():
                for version in folder.wanted if isinstance(folder, ModelFolder) else ():
                    self._models.announce(name, version)
            self._models.is_announced = True
            for name, folder in chosen.items():
                errors = await served.update(name, folder)
                if errors and self._config.exit_on_error:
                    raise errors[0]
                if errors:
                    await served.fall_back(name, folder)
                served.tell(name, errors)
        if self._config.model_control_mode == "poll":
            self._spawn(self._watch(served))

    def _explicit(self) -> ServedRepository:
        mode = self._config.model_control_mode
        if mode == "explicit" and self._served is not None:
            return self._served
        # Triton's words, which its clients know.
        raise UnavailableError(
            f"explicit model load / unload is not allowed if polling is enabled; model_control_mode is {mode!r}, "
            "expected 'explicit'"
        )

    async def _turn(self, name: str) -> asyncio.Lock:
        """The lock for changes of one model; forgotten with the last of them, as callers make up names."""
        async with self._lock:
            return self._turns.setdefault(name, asyncio.Lock())

    async def _load(self, served: ServedRepository, name: str, policy: VersionPolicy | None) -> None:
        async with await self._turn(name):
            try:
                folder = await served.find(name)
                if policy is not None:
                    folder = msgspec.structs.replace(folder, policy=policy)
                    _check_choice(folder)
                errors = await served.update(name, folder)
            except UnknownModelError as error:
                # For its caller alone: anyone may make up names, which must fill neither the log nor the memory.
                raise _failed_to_load(name, [error]) from None
            except OffbeatError as error:
                errors = [error]
            served.tell(name, errors)
        if errors:
            raise _failed_to_load(name, errors)

    async def _unload(self, name: str) -> None:
        async with await self._turn(name):
            versions = [status.version for status in self._models.index() if status.name == name]
            if not versions:
                raise UnknownModelError(f"failed to unload {quoted(name)}, it is not loaded")
            tasks = [self._loader.withdraw(name, version) for version in versions]
        await asyncio.gather(*(task for task in tasks if task is not None))

    async def _watch(self, served: ServedRepository) -> None:
        while True:
            await asyncio.sleep(self._config.repository_poll_s)
            try:
                async with self._lock:
                    await served.look()
                served.tell("", [])
            except OffbeatError as error:
                served.tell("", [error])
            except Exception as error:  # noqa: BLE001 - whatever happened, the next look is due
                incident("a look at the model repository", error)

    def _spawn(self, coroutine: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _failed_to_load(name: str, errors: Sequence[OffbeatError]) -> OffbeatError:
    """In the words with which Triton begins."""
    return type(errors[0])(f"failed to load {quoted(name)}, {'; '.join(map(str, errors))}")


def _check_choice(folder: ModelFolder) -> None:
    """Raises UnknownModelError where a request to load asks for versions that are not there: it changes nothing then."""
    if not folder.wanted:
        there = ", ".join(map(str, folder.versions))
        raise UnknownModelError(f"version_policy {folder.policy} chooses none of the versions {there}")
