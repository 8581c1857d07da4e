"""The series of one model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from offbeat.errors import InvalidWindowError
from offbeat.result import BoolArray
from offbeat.series_config import SeriesConfig
from offbeat.streams.alarms import Alarms
from offbeat.streams.order import NEVER, late_rows
from offbeat.streams.row_memory import RowMemory
from offbeat.streams.rows import Integers, Rows, Taken, check_counts, check_values, repetitions
from offbeat.streams.series_state import SeriesState
from offbeat.streams.slots import SeriesSlots, check_name
from offbeat.streams.together import TakenTogether, joined

# A name, its place in two tables, and what is kept beside the rows.
_BYTES_BESIDE = 256
_NONE: Integers = np.empty(0, np.int64)


class _Checked(Struct, frozen=True, kw_only=True, eq=False):
    """Rows that can be taken: the slots of the series that are known, -1 of the `strangers`; `owners` [row] tells the series of rows
    apart, those of strangers by the numbers in `strangers`; `repeated` is what `repetitions` says of them; `is_late` [row] are to be
    left out, None where none is.
    """

    rows: Rows
    known: Integers
    owners: Integers
    strangers: dict[str, int]
    repeated: Integers | None
    is_late: BoolArray | None

    def first_rows(self) -> Integers:
        """The row with which each stranger begins."""
        if not self.strangers:
            return _NONE
        return np.unique(self.owners, return_index=True)[1][-len(self.strangers) :]


class SeriesStore:
    """Remembers rows of series, and makes windows of `length` steps of them. Pure: the caller tells the time, in seconds.

    Not for several threads at once. `n_rows` counts rows "taken", "dropped" and "refused"; `n_forgotten` series, by reason: "ttl", "lru",
    "reset". `n_changes` grows with every change.
    """

    def __init__(self, length: int, feature_names: Sequence[str], config: SeriesConfig) -> None:
        self.length = length
        self.feature_names = tuple(feature_names)
        self._config = config
        n_features = len(self.feature_names)
        self.n_bytes_each = RowMemory.n_bytes_each(length, n_features) + config.alarm_n + _BYTES_BESIDE
        capacity = min(config.max_series, config.max_series_bytes // self.n_bytes_each)
        self._slots = SeriesSlots(capacity)
        self._memory = RowMemory(capacity, length, n_features)
        # Whether every anomalous window is an alarm, whatever was before it.
        self.is_alarm_each = config.alarm_n == 1
        self._alarms = Alarms(capacity, config.alarm_k, config.alarm_n)
        self._timestamps = np.full(capacity, NEVER, np.int64)
        self._next_sweep = -np.inf
        self.n_rows = Counter(taken=0, dropped=0, refused=0)
        self.n_forgotten = Counter(ttl=0, lru=0, reset=0)
        self.n_changes = 0

    def __len__(self) -> int:
        return len(self._slots)

    def take(self, rows: Rows, now: float, stride: int = 1) -> Taken:
        """Remembers rows, and gives the windows that are to be scored: a series' first full one, then one every `stride` rows.

        Raises InvalidWindowError, and has changed nothing then, for rows that do not fit, that are not finite, or, unless they are to be
        dropped, are late.
        """
        try:
            return self._take(self._checked(rows, now), now, stride)
        except InvalidWindowError:
            self.n_rows["refused"] += len(rows.values)
            raise

    def take_together(self, requests: Sequence[Rows], now: float, stride: int = 1) -> TakenTogether | None:
        """Remembers the rows of several requests as `take` would, one request after the other, but in a fraction of the time.

        Returns None, and has changed nothing then, where it cannot: something is wrong with one of them, or series have to make room.
        Either all requests have timestamps, or none.
        """
        try:
            for each in requests:
                check_counts(each, len(self.feature_names))
            checked = self._checked(joined(requests), now)
        except InvalidWindowError:
            return None
        if len(self._slots) + len(checked.strangers) > self._slots.capacity:
            return None
        return TakenTogether.of_all(self._take(checked, now, stride), requests, checked.first_rows())

    def alarms(self, taken: Taken, is_anomaly: BoolArray) -> BoolArray:
        """The alarms [window] that follow from the scores of windows; each must be told once, a series' in their order."""
        if self.is_alarm_each:
            return is_anomaly
        is_theirs = self._slots.generations[taken.slots] == taken.generations
        if is_theirs.all():
            return self._alarms.take(taken.slots, is_anomaly)
        # Who was forgotten meanwhile has no windows before this one.
        alarms = is_anomaly & (self._config.alarm_k == 1)
        if is_theirs.any():
            alarms[is_theirs] = self._alarms.take(taken.slots[is_theirs], is_anomaly[is_theirs])
        return alarms

    def reset(self, names: Sequence[str] | None) -> int:
        """Forgets these series, or all; returns how many there were."""
        slots = self._slots.occupied() if names is None else np.unique(self._slots.find(names))
        return self._forget(slots[slots >= 0], "reset")

    def expire(self, now: float, *, not_before: float = -np.inf) -> int:
        """Forgets series without a row for so long, unless it is not time to look yet; returns how many."""
        if now < not_before:
            return 0
        self._next_sweep = now + self._config.series_ttl_s / 100
        return self._forget(self._slots.older_than(now - self._config.series_ttl_s), "ttl")

    def occupied(self) -> Integers:
        """The slots of all series, for `state`."""
        return self._slots.occupied()

    def state(self, model: str, slots: Integers, now: float) -> SeriesState:
        """A copy of what those slots hold that are in use."""
        used = slots[np.isfinite(self._slots.used_at[slots])]
        return SeriesState(
            model=model,
            length=self.length,
            feature_names=self.feature_names,
            names=[self._slots.name(slot) for slot in used.tolist()],
            tails=self._memory.tails(used),
            n_seen=self._memory.n_seen[used],
            timestamps=self._timestamps[used],
            ages_s=now - self._slots.used_at[used],
            flags=self._alarms.flags[used],
        )

    def restore(self, state: SeriesState, now: float) -> int:
        """Takes over what a state holds, of the most recently used first; returns how many series that were."""
        is_young = state.ages_s < self._config.series_ttl_s
        order = np.argsort(state.ages_s, kind="stable")
        order = order[is_young[order]][: self._slots.capacity - len(self._slots)]
        slots = self._slots.admit([state.names[place] for place in order.tolist()], now)
        self._slots.used_at[slots] = now - state.ages_s[order]
        self._memory.restore(slots, state.tails[order], state.n_seen[order])
        self._timestamps[slots] = state.timestamps[order]
        n_flags = min(state.flags.shape[1], self._alarms.flags.shape[1])
        self._alarms.clear(slots)
        if n_flags:
            self._alarms.flags[slots, -n_flags:] = state.flags[order, -n_flags:]
        return len(slots)

    def _checked(self, rows: Rows, now: float) -> _Checked:
        """The rows as they can be taken, with nothing changed but for series that are too old. Raises InvalidWindowError."""
        check_counts(rows, len(self.feature_names))
        check_values(rows)
        self.expire(now, not_before=self._next_sweep)
        known = self._slots.find(rows.series)
        owners, strangers = self._owners(rows, known)
        repeated = repetitions(owners)
        is_late = self._late(rows, owners, known, strangers, are_different=repeated is None)
        return _Checked(rows=rows, known=known, owners=owners, strangers=strangers, repeated=repeated, is_late=is_late)

    def _owners(self, rows: Rows, known: Integers) -> tuple[Integers, dict[str, int]]:
        """A number for each row that tells its series from the others, and the numbers of the new ones. Raises InvalidWindowError."""
        strangers: dict[str, int] = {}
        owners = known
        if known.min() < 0:
            unknown = (known < 0).nonzero()[0]
            owners = known.copy()
            for place in unknown.tolist():
                name = rows.series[place]
                if name not in strangers:
                    check_name(name)
                    strangers[name] = self._slots.capacity + len(strangers)
                owners[place] = strangers[name]
            n_series = len(strangers) + len(np.unique(known[known >= 0]))
            if n_series > self._slots.capacity:
                raise InvalidWindowError(
                    f"{n_series} series in one request; expected at most {self._slots.capacity}, as max_series and max_series_bytes "
                    f"allow with {self.n_bytes_each} bytes a series"
                )
        if len(owners) < len(rows.values):
            owners = np.full(len(rows.values), owners[0])
        return owners, strangers

    def _late(
        self, rows: Rows, owners: Integers, known: Integers, strangers: dict[str, int], *, are_different: bool
    ) -> BoolArray | None:
        """The rows to leave out, None where there are none. Raises InvalidWindowError where that is not the policy."""
        if rows.timestamps is None:
            return None
        last = self._timestamps[known]
        if strangers:
            last[known < 0] = NEVER
        if len(last) < len(owners):
            last = np.full(len(owners), last[0])
        is_late = late_rows(owners, rows.timestamps, last, are_different=are_different)
        if not is_late.any():
            return None
        if self._config.out_of_order == "refuse":
            row = int(is_late.argmax())
            raise InvalidWindowError(
                f"row {row}, of series {rows.series_of(row)!r}, has timestamp {rows.timestamps[row]}, which is not later than one before it; "
                "expected them to grow; nothing was changed"
            )
        return is_late

    def _take(self, checked: _Checked, now: float, stride: int) -> Taken:
        rows, known, strangers, is_late = checked.rows, checked.known, checked.strangers, checked.is_late
        slots = self._admit(rows, known, strangers, now) if strangers else known
        self._slots.used_at[slots] = now
        if len(slots) < len(rows.values):
            slots = np.full(len(rows.values), slots[0])
        values, numbers, timestamps, repeated = rows.values, None, rows.timestamps, checked.repeated
        dropped = _NONE
        if is_late is not None:
            dropped, numbers = is_late.nonzero()[0], (~is_late).nonzero()[0]
            slots, values = slots[numbers], values[numbers]
            repeated = repetitions(slots)
            timestamps = None if timestamps is None else timestamps[numbers]
        if timestamps is not None:
            # Of a series' several rows the last one counts: they are assigned in their order.
            self._timestamps[slots] = timestamps
        windows, ends = self._memory.append(slots, values, stride, repeated)
        self.n_rows["taken"] += len(slots)
        self.n_rows["dropped"] += len(dropped)
        self.n_changes += 1
        scored = slots[ends]
        return Taken(
            windows=windows,
            rows=ends if numbers is None else numbers[ends],
            dropped=dropped,
            n_started=len(strangers),
            slots=scored,
            generations=self._slots.generations[scored],
        )

    def _admit(self, rows: Rows, known: Integers, strangers: dict[str, int], now: float) -> Integers:
        """Makes room for new series; returns the slots of all that are named."""
        # None of the others that are named may go.
        self._slots.used_at[known[known >= 0]] = np.inf
        self.n_forgotten["lru"] += self._slots.make_room(len(strangers))
        new = self._slots.admit(strangers, now)
        self._memory.clear(new)
        self._alarms.clear(new)
        self._timestamps[new] = NEVER
        return np.where(known >= 0, known, self._slots.find(rows.series))

    def _forget(self, slots: Integers, reason: str) -> int:
        self._slots.release(slots.tolist())
        self.n_forgotten[reason] += len(slots)
        self.n_changes += len(slots) > 0
        return len(slots)
