"""Rows of feeds in, alarms out: what `offbeat listen` does between its sockets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.cli.listen_rows import Row
from offbeat.errors import InvalidWindowError
from offbeat.result import DEFAULT_OUTPUTS
from offbeat.scorer import Scorer
from offbeat.series_config import SeriesConfig
from offbeat.streams import Rows, SeriesStore


class FeedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row, the feed it came from, and the number of its line there."""

    feed: str
    line: int
    row: Row

    @property
    def series(self) -> str:
        """What rows are remembered under: a feed's rows are one series unless they name theirs."""
        return self.feed if self.row.series is None else self.row.series


class Watch:
    """Remembers each series' last window, scores the window that each row completes, and gives a line of JSON for each alarm.

    With `tells_scores` there is a line for every window. `refused` takes the rows that cannot be remembered, with the reason.
    `n_series` counts series that begin, again where they were forgotten.
    """

    def __init__(self, scorer: Scorer, config: SeriesConfig, *, stride: int, tells_scores: bool) -> None:
        window = scorer.manifest.window
        self._scorer = scorer
        self._has_time = window is not None
        self.store = SeriesStore(1 if window is None else window.length, scorer.manifest.feature_names, config)
        self._stride = stride
        self._tells_scores = tells_scores
        self._encoder = msgspec.json.Encoder()
        self.n_rows = 0
        self.n_series = 0
        self.n_windows = 0
        self.n_alarms = 0
        self.refused: list[tuple[FeedRow, str]] = []

    def take(self, rows: Sequence[FeedRow], now: float) -> Iterator[bytes]:
        """Lines for the windows that these rows complete, in the order of the rows; `now` in seconds. Raises BackendError."""
        if not rows:
            return
        values = np.array([row.row.values for row in rows], np.float32)
        try:
            taken = self.store.take(Rows(series=[row.series for row in rows], values=values), now, self._stride)
        except InvalidWindowError as error:
            # More series at once than are remembered at all.
            if len(rows) == 1:
                self.refused.append((rows[0], str(error)))
                return
            yield from self.take(rows[: len(rows) // 2], now)
            yield from self.take(rows[len(rows) // 2 :], now)
            return
        self.n_rows += len(rows)
        self.n_series += taken.n_started
        self.n_windows += len(taken.windows)
        if not len(taken.windows):
            return
        windows = taken.windows if self._has_time else taken.windows[:, 0]
        scores = _judged(self._scorer.score(windows, DEFAULT_OUTPUTS).arrays())
        alarms = self.store.alarms(taken, scores["is_anomaly"].astype(np.bool_))
        self.n_alarms += int(alarms.sum())
        columns = [scores[name].tolist() for name in DEFAULT_OUTPUTS]
        for row, alarm, *of_window in zip(taken.rows.tolist(), alarms.tolist(), *columns, strict=True):
            if alarm or self._tells_scores:
                yield self._line(rows[row], alarm, dict(zip(DEFAULT_OUTPUTS, of_window, strict=True)))

    def forget(self, feed: str) -> None:
        """Forgets the series that is a feed's own."""
        self.store.reset([feed])

    def _line(self, row: FeedRow, alarm: bool, scores: dict[str, object]) -> bytes:
        named = {"series": row.row.series, "timestamp": row.row.timestamp}
        words: dict[str, object] = {"feed": row.feed, "line": row.line}
        words |= {name: word for name, word in named.items() if word is not None}
        return self._encoder.encode(words | scores | {"alarm": alarm}) + b"\n"


def _judged(scores: dict[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    """No window is normal because its arithmetic failed: NaN, where float32 overflowed inside the model, is an infinite error."""
    has_failed = np.isnan(scores["reconstruction_error"].astype(np.float32, copy=False))
    if not has_failed.any():
        return scores
    anomaly_score = np.where(has_failed, np.float32(1), scores["anomaly_score"])
    return scores | {"anomaly_score": anomaly_score, "is_anomaly": np.logical_or(scores["is_anomaly"], has_failed)}
