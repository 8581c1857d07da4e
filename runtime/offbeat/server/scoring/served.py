"""The models being served."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from offbeat.batching import BatchCost, DynamicBatcher
from offbeat.config import BatchingConfig
from offbeat.errors import OffbeatError, UnavailableError, UnknownModelError, quoted
from offbeat.scorer import Scorer
from offbeat.server.scoring.form import RequestForm, RequestForms
from offbeat.server.scoring.model_state import ModelState, VersionStatus
from offbeat.server.scoring.query import Scored
from offbeat.server.telemetry.drift import Reference
from offbeat.server.telemetry.model_statistics import ModelStatistics
from offbeat.server.telemetry.observations import Observations
from offbeat.server.telemetry.recent_windows import RecentWindows

Reply: TypeAlias = asyncio.Future[Scored]


class Awaited(Struct, frozen=True, kw_only=True, eq=False):
    """What a queued request waits for, and the form in which it came."""

    reply: Reply
    form: RequestForm


class ServedModel:
    """One version that takes requests: its scorer, its queue, what its batches cost, and what became of them.

    `reference` is what its windows should look like, None where that is not known.
    """

    def __init__(self, scorer: Scorer, batching: BatchingConfig, reference: Reference | None = None) -> None:
        self.scorer = scorer
        self.name = scorer.manifest.name
        self.version = scorer.manifest.version
        self.backend = scorer.backend.description
        self.batching = batching
        self.forms = RequestForms(scorer)
        self.cost = BatchCost()
        self.queue: DynamicBatcher[Awaited] = DynamicBatcher(batching, self.cost)
        self.statistics = ModelStatistics()
        window = scorer.manifest.window
        recent = RecentWindows(None if window is None else window.length, len(scorer.manifest.feature_names))
        self.observations = Observations(recent)
        self.reference = reference
        # Batches in the hands of workers; the dispatcher counts them.
        self.n_running = 0
        # Batches that were given up and may still be in the engine.
        self.n_hung = 0
        # Where it takes its requests from; set there.
        self.home: ServedModels | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for it any more."""
        return not self.queue and not self.n_running and not self.n_hung

    def suspend(self, reason: str) -> None:
        """Lets it take no requests for now, where it does; they are refused as UnavailableError."""
        if self.home is not None:
            self.home.suspend(self, reason)

    @property
    def is_suspended(self) -> bool:
        """Whether it takes no requests for now, and has been neither unloaded nor replaced."""
        return self.home is not None and self.home.has_suspended(self)

    def resume(self) -> bool:
        """Lets it take requests again; False where it has been unloaded or replaced."""
        return self.home is not None and self.home.resume(self)

    def __str__(self) -> str:
        return f"model {self.name!r} version {self.version} on {self.backend}"


class ServedModels:
    """Finds what is served by name and version; a name alone stands for its newest ready version.

    Of versions that take no requests it knows what to tell. Belongs to the event loop: each call is one step there, and so is
    a switch from one version to another.
    """

    def __init__(self) -> None:
        self._ready: dict[str, dict[int, ServedModel]] = {}
        self._newest: dict[str, ServedModel] = {}
        self._notes: dict[tuple[str, int], VersionStatus] = {}
        self._suspended: dict[tuple[str, int], ServedModel] = {}
        # Until what there is has been announced, any model may be about to be.
        self.is_announced = True
        # By model and result, "ok" or "refused".
        self.loads: Counter[tuple[str, str]] = Counter()
        self._listeners: list[Callable[[], object]] = []
        self._counters: list[Callable[[], object]] = []

    def listen(self, listener: Callable[[], object]) -> None:
        """Has the listener called after each change."""
        self._listeners.append(listener)

    def count_by(self, counter: Callable[[], object]) -> None:
        """Has it called before figures are read: it counts what it has scored by itself and not counted yet."""
        self._counters.append(counter)

    def settle(self) -> None:
        """Brings the models' figures up to date; to be called before they are read."""
        for count in self._counters:
            count()

    def announce(self, name: str, version: int) -> None:
        """Says that a version is loading: requests for it are refused as UnavailableError instead of UnknownModelError."""
        self.note(VersionStatus(name, version, ModelState.LOADING))

    def note(self, status: VersionStatus) -> None:
        """What to tell of a version that takes no requests; of one that does, the reason alone is told."""
        self._notes[status.name, status.version] = status
        self._tell()

    def end_unloading(self, name: str, version: int) -> None:
        """Says that an unloading version is gone, unless something else is told of it by now."""
        note = self._notes.get((name, version))
        if note is not None and note.state is ModelState.UNLOADING:
            self.note(VersionStatus(name, version, ModelState.UNAVAILABLE, "unloaded"))

    def forget(self, name: str, version: int) -> None:
        """Nothing more is to be told of a version that takes no requests."""
        self._notes.pop((name, version), None)
        self._suspended.pop((name, version), None)
        self._tell()

    def add(self, model: ServedModel) -> ServedModel | None:
        """Lets the version take requests; returns the one whose place it takes, which has the same name and number."""
        versions = self._ready.setdefault(model.name, {})
        displaced = versions.get(model.version)
        versions[model.version] = model
        self._newest[model.name] = versions[max(versions)]
        model.home = self
        self.forget(model.name, model.version)
        return displaced

    def remove(self, name: str, version: int) -> ServedModel | None:
        """Lets the version take no more requests; returns it, None where it did not take any."""
        self._suspended.pop((name, version), None)
        versions = self._ready.get(name, {})
        removed = versions.pop(version, None)
        if versions:
            self._newest[name] = versions[max(versions)]
        else:
            self._ready.pop(name, None)
            self._newest.pop(name, None)
        self._tell()
        return removed

    def suspend(self, model: ServedModel, reason: str) -> None:
        """Lets a version that hangs or fails take no requests until `resume`; the engine may be in use."""
        if self._ready.get(model.name, {}).get(model.version) is model:
            self.remove(model.name, model.version)
            self._suspended[model.name, model.version] = model
            self.note(VersionStatus(model.name, model.version, ModelState.UNAVAILABLE, reason))

    def resume(self, model: ServedModel) -> bool:
        """Lets it take requests again; False where it has been removed or replaced, and while another of its batches hangs."""
        if not self.has_suspended(model) or model.n_hung:
            return False
        self.add(model)
        return True

    def has_suspended(self, model: ServedModel) -> bool:
        """Whether the version takes no requests for now, and is expected back."""
        return self._suspended.get((model.name, model.version)) is model

    def suspended(self) -> list[VersionStatus]:
        """The versions that hang or fail, and why they take no requests."""
        return [self._notes[key] for key in sorted(self._suspended)]

    def find(self, name: str, version: int | None = None) -> ServedModel:
        """The version asked for, or the newest. Raises UnknownModelError, UnavailableError while it is loading."""
        model = self._newest.get(name) if version is None else self._ready.get(name, {}).get(version)
        if model is None:
            raise self._absence(name, version)
        return model

    def ready(self) -> list[ServedModel]:
        """Every version that takes requests, by name and version."""
        return [model for name in sorted(self._ready) for _, model in sorted(self._ready[name].items())]

    def knows(self, name: str) -> bool:
        """Whether there is anything to tell of the model, ready or not."""
        return name in self._ready or any(note.name == name for note in self._notes.values())

    def versions(self, name: str) -> tuple[int, ...]:
        """The versions of a model that take requests, ascending."""
        return tuple(sorted(self._ready.get(name, ())))

    def index(self) -> list[VersionStatus]:
        """Every version and its state, by name and version."""
        told = dict(self._notes)
        for model in self.ready():
            key = model.name, model.version
            reason = told[key].reason if key in told else ""
            told[key] = VersionStatus(*key, ModelState.READY, reason)
        return [status for _, status in sorted(told.items())]

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def _absence(self, name: str, version: int | None) -> OffbeatError:
        """Why there is no such model; clients of Triton look for its words, which are these."""
        notes = [note for note in self._notes.values() if note.name == name and version in (None, note.version)]
        wanted = quoted(name) if version is None else f"{quoted(name)} version {version}"
        if not self.is_announced or any(note.state is ModelState.LOADING for note in notes):
            return UnavailableError(f"model {wanted} is loading; expected to be ready soon")
        for note in notes:
            if (name, note.version) in self._suspended:
                return UnavailableError(f"model {wanted} takes no requests: {note.reason}")
        what = "is not found" if not notes else "has no available versions" if version is None else "is not available"
        served = ", ".join(f"{each!r} ({', '.join(map(str, self.versions(each)))})" for each in sorted(self._ready))
        return UnknownModelError(f"Request for unknown model: {wanted} {what}; being served: {served or '(none)'}")
