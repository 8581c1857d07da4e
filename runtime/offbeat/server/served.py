"""The models being served."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from offbeat.batching import BatchCost, DynamicBatcher
from offbeat.config import BatchingConfig
from offbeat.errors import UnavailableError, UnknownModelError
from offbeat.scorer import Scorer
from offbeat.server.form import RequestForm, RequestForms
from offbeat.server.query import Scored

Reply: TypeAlias = asyncio.Future[Scored]


class Awaited(Struct, frozen=True, kw_only=True, eq=False):
    """What a queued request waits for, and the form in which it came."""

    reply: Reply
    form: RequestForm


class ModelState(StrEnum):
    """Where a version is on its way, in Triton's words."""

    LOADING = "LOADING"
    READY = "READY"


class ServedModel:
    """One version that takes requests: its scorer, its queue, and what its batches cost."""

    def __init__(self, scorer: Scorer, batching: BatchingConfig) -> None:
        self.scorer = scorer
        self.name = scorer.manifest.name
        self.version = scorer.manifest.version
        self.backend = scorer.backend.description
        self.batching = batching
        self.forms = RequestForms(scorer)
        self.cost = BatchCost()
        self.queue: DynamicBatcher[Awaited] = DynamicBatcher(batching, self.cost)

    def __str__(self) -> str:
        return f"model {self.name!r} version {self.version} on {self.backend}"


class ServedModels:
    """Finds what is served by name and version; a name alone stands for its newest ready version."""

    def __init__(self) -> None:
        self._versions: dict[str, dict[int, ServedModel | None]] = {}
        self._newest: dict[str, ServedModel] = {}

    def announce(self, name: str, version: int) -> None:
        """Says that a version is loading: requests for it are refused as UnavailableError instead of UnknownModelError."""
        self._versions.setdefault(name, {})[version] = None

    def add(self, model: ServedModel) -> None:
        """Lets the version take requests."""
        self._versions.setdefault(model.name, {})[model.version] = model
        newest = self._newest.get(model.name)
        if newest is None or newest.version < model.version:
            self._newest[model.name] = model

    def find(self, name: str, version: int | None = None) -> ServedModel:
        """The version asked for, or the newest. Raises UnknownModelError, UnavailableError while it is loading."""
        model = self._newest.get(name) if version is None else self._versions.get(name, {}).get(version)
        if model is not None:
            return model
        wanted = f"model {name!r}" if version is None else f"model {name!r} version {version}"
        if name in self._versions and (version is None or version in self._versions[name]):
            raise UnavailableError(f"{wanted} is loading; expected to be ready soon")
        raise UnknownModelError(
            f"no {wanted}; being served: {', '.join(map(self._describe, self._versions)) or '(none)'}"
        )

    def ready(self) -> list[ServedModel]:
        """Every version that takes requests, by name and version."""
        return [model for _, _, model in self._sorted() if model is not None]

    def index(self) -> list[tuple[str, int, ModelState]]:
        """Every version and its state, by name and version."""
        return [
            (name, version, ModelState.LOADING if model is None else ModelState.READY)
            for name, version, model in self._sorted()
        ]

    def _sorted(self) -> list[tuple[str, int, ServedModel | None]]:
        return sorted(
            (
                (name, version, model)
                for name, versions in self._versions.items()
                for version, model in versions.items()
            ),
            key=lambda entry: entry[:2],
        )

    def _describe(self, name: str) -> str:
        return f"{name!r} ({', '.join(map(str, sorted(self._versions[name])))})"
