"""What is remembered of the series of every model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from offbeat.bundle import Manifest
from offbeat.series_config import SeriesConfig
from offbeat.streams import SeriesState, SeriesStore


class Shape(Struct, frozen=True, order=True):
    """Whose rows fit together: versions of one model whose windows have the same steps and features."""

    model: str
    length: int
    feature_names: tuple[str, ...]

    @classmethod
    def of(cls, manifest: Manifest) -> Shape:
        """That of a model; without a time axis a window is one row."""
        return cls(manifest.name, 1 if manifest.window is None else manifest.window.length, manifest.feature_names)


class SeriesMemory:
    """A store for each shape that rows came for. Belongs to the event loop; `clock` tells seconds that never go back."""

    def __init__(self, config: SeriesConfig, clock: Callable[[], float]) -> None:
        self._config = config
        self.clock = clock
        self._stores: dict[Shape, SeriesStore] = {}

    def store(self, manifest: Manifest) -> SeriesStore:
        """Where the series of a model are. A new version finds those of the one before, unless its windows are others."""
        shape = Shape.of(manifest)
        store = self._stores.get(shape)
        return store if store is not None else self._add(shape)

    def stores(self) -> Iterator[tuple[Shape, SeriesStore]]:
        """All that there are."""
        yield from sorted(self._stores.items(), key=lambda item: item[0])

    def reset(self, model: str, names: Sequence[str] | None) -> int:
        """Forgets series of a model, or all of them; returns how many there were."""
        return sum(store.reset(names) for shape, store in self.stores() if shape.model == model)

    def expire(self) -> None:
        """Forgets what was not used for too long."""
        for store in self._stores.values():
            store.expire(self.clock())

    def restore(self, state: SeriesState) -> int:
        """Takes over what was written; returns how many series that were."""
        store = self._add(Shape(state.model, state.length, state.feature_names))
        return store.restore(state, self.clock())

    def _add(self, shape: Shape) -> SeriesStore:
        store = self._stores[shape] = SeriesStore(shape.length, shape.feature_names, self._config)
        return store
