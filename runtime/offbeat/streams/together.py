"""Rows of several requests as if they had come in one, and what became of each request's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from msgspec import Struct

from offbeat.result import FloatArray
from offbeat.streams.rows import Integers, Rows, Taken


class TakenTogether(Struct, frozen=True, kw_only=True, eq=False):
    """What became of the rows of several requests: of each what `Taken` tells of one.

    `windows` float32 [window, time, feature] and what goes with them, `rows`, `slots` and `generations` [window], are those of the
    requests one behind the other: those of request r begin at `windows_at[r]` and end before `windows_at[r + 1]`, and so do `dropped`
    and `dropped_at`. `rows` and `dropped` count from each request's first row. `n_started` has a number for each request.
    """

    windows: FloatArray
    rows: Integers
    slots: Integers
    generations: Integers
    windows_at: list[int]
    dropped: Integers
    dropped_at: list[int]
    n_started: list[int]

    @classmethod
    def of_one(cls, taken: Taken) -> TakenTogether:
        """What became of one request."""
        return cls(
            windows=taken.windows,
            rows=taken.rows,
            slots=taken.slots,
            generations=taken.generations,
            windows_at=[0, len(taken.rows)],
            dropped=taken.dropped,
            dropped_at=[0, len(taken.dropped)],
            n_started=[taken.n_started],
        )

    @classmethod
    def of_all(cls, taken: Taken, requests: Sequence[Rows], started_by: Integers) -> TakenTogether:
        """What became of these requests, whose rows were taken as those of one; `started_by` are the rows that began a series."""
        starts = np.fromiter(
            accumulate((len(each.values) for each in requests), initial=0), np.int64, len(requests) + 1
        )
        of_windows, of_dropped = _owners(starts, taken.rows), _owners(starts, taken.dropped)
        numbers = np.arange(len(starts))
        return cls(
            windows=taken.windows,
            rows=taken.rows - starts[of_windows],
            slots=taken.slots,
            generations=taken.generations,
            windows_at=np.searchsorted(of_windows, numbers).tolist(),
            dropped=taken.dropped - starts[of_dropped],
            dropped_at=np.searchsorted(of_dropped, numbers).tolist(),
            n_started=np.bincount(_owners(starts, started_by), minlength=len(requests)).tolist(),
        )

    def of(self, request: int) -> Taken:
        """What became of one of the requests."""
        windows = slice(*self.windows_at[request : request + 2])
        return Taken(
            windows=self.windows[windows],
            rows=self.rows[windows],
            dropped=self.dropped[slice(*self.dropped_at[request : request + 2])],
            n_started=self.n_started[request],
            slots=self.slots[windows],
            generations=self.generations[windows],
        )


def joined(requests: Sequence[Rows]) -> Rows:
    """The rows of requests, each of which has a series and a timestamp for each, or none of them has timestamps, as those of one."""
    series: list[str] = []
    for each in requests:
        series.extend(each.series if len(each.series) > 1 else [each.series[0]] * len(each.values))
    timestamps = [each.timestamps for each in requests if each.timestamps is not None]
    return Rows(
        series=series,
        values=np.concatenate([each.values for each in requests]),
        timestamps=np.concatenate(timestamps) if timestamps else None,
    )


def _owners(starts: Integers, rows: Integers) -> Integers:
    """Which request each of these rows is of, where the requests' first rows are `starts`."""
    return np.searchsorted(starts, rows, side="right") - 1
