"""Which series are remembered, and where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat

import numpy as np

from offbeat.errors import InvalidWindowError
from offbeat.streams.rows import Integers

MAX_NAME_BYTES = 128
# Of the oldest so many are found at once: looking through all for each would cost more than all else.
_MAX_CANDIDATES = 1024


class SeriesSlots:
    """Gives each series a slot, and takes the slot of the least recently used where there is none. Pure: the caller tells the time.

    `used_at` [slot] is when a row last came, infinite where nobody is; `generations` [slot] grows with each new owner.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.used_at = np.full(capacity, np.inf)
        self.generations = np.zeros(capacity, np.int64)
        self._slots: dict[str, int] = {}
        self._names: list[str] = []
        self._free: list[int] = []
        # Slots and the time they were last used, the oldest at the end.
        self._oldest: list[tuple[int, float]] = []

    def __len__(self) -> int:
        return len(self._slots)

    def find(self, names: Sequence[str]) -> Integers:
        """The slot of each name, -1 where it has none."""
        return np.fromiter(map(self._slots.get, names, repeat(-1)), np.int64, len(names))

    def occupied(self) -> Integers:
        """The slots of all series."""
        return np.fromiter(self._slots.values(), np.int64, len(self._slots))

    def name(self, slot: int) -> str:
        """Whose slot it is."""
        return self._names[slot]

    def older_than(self, time: float) -> Integers:
        """The slots that were last used before that time."""
        return (self.used_at[: len(self._names)] < time).nonzero()[0]

    def admit(self, names: Iterable[str], now: float) -> Integers:
        """Gives slots to names that have none, which must be different; so many must be free, see `make_room`."""
        slots = [self._admit(name) for name in names]
        found = np.array(slots, np.int64)
        self.used_at[found] = now
        self.generations[found] += 1
        return found

    def make_room(self, n_new: int) -> int:
        """Releases the least recently used until `n_new` slots are free, none whose `used_at` is infinite; returns how many."""
        n_evicted = len(self._slots) + n_new - self.capacity
        for _ in range(n_evicted):
            self.release([self._least_recently_used()])
        return max(0, n_evicted)

    def release(self, slots: Iterable[int]) -> None:
        """Forgets whose slots these are."""
        for slot in slots:
            del self._slots[self._names[slot]]
            self._names[slot] = ""
            self.used_at[slot] = np.inf
            self.generations[slot] += 1
            self._free.append(slot)

    def _admit(self, name: str) -> int:
        if self._free:
            slot = self._free.pop()
            self._names[slot] = name
        else:
            slot = len(self._names)
            self._names.append(name)
        self._slots[name] = slot
        return slot

    def _least_recently_used(self) -> int:
        while True:
            while self._oldest:
                slot, used_at = self._oldest.pop()
                # Whoever was used meanwhile is not among the oldest any more, and all others were younger then.
                if self.used_at[slot] == used_at:
                    return slot
            self._oldest = self._find_oldest()

    def _find_oldest(self) -> list[tuple[int, float]]:
        used_at = self.used_at[: len(self._names)]
        n_candidates = min(_MAX_CANDIDATES, len(used_at))
        found = np.argpartition(used_at, n_candidates - 1)[:n_candidates]
        found = found[np.isfinite(used_at[found])]
        found = found[np.argsort(used_at[found], kind="stable")[::-1]]
        return [(int(slot), float(used_at[slot])) for slot in found]


def check_name(name: str) -> None:
    """Raises InvalidWindowError for a name that no series can have."""
    if not name or len(name) > MAX_NAME_BYTES or len(name.encode()) > MAX_NAME_BYTES:
        raise InvalidWindowError(f"series {name[:MAX_NAME_BYTES]!r}; expected a name of 1 to {MAX_NAME_BYTES} bytes")
