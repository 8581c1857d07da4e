"""Gaps in rows that arrive, filled from what came before."""

from __future__ import annotations

import math
from collections import OrderedDict
from time import monotonic

from offbeat.errors import DataError
from offbeat.series_config import SeriesConfig


class GapFilling:
    """Fills as `--missing forward-fill` of `offbeat score` does: what is missing repeats its series' last value of that feature.

    As many series as the configuration allows are remembered, by the row they had last, and for as long. `n_filled` counts values.
    """

    def __init__(self, feature_names: tuple[str, ...], config: SeriesConfig) -> None:
        self.n_filled = 0
        self._feature_names = feature_names
        self._config = config
        # When a series' last row came, and the row; the series that was used least recently comes first.
        self._last: OrderedDict[str, tuple[float, list[float]]] = OrderedDict()

    def filled(self, series: str, values: list[float]) -> list[float]:
        """The next row of a series, NaN where a value is missing, without gaps. Raises DataError where nothing came before one."""
        now = monotonic()
        if any(map(math.isnan, values)):
            values = self._repeated(series, values, now)
        self._last[series] = (now, values)
        self._last.move_to_end(series)
        if len(self._last) > self._config.max_series:
            self._last.popitem(last=False)
        return values

    def forget(self, series: str) -> None:
        """Begins a series anew."""
        self._last.pop(series, None)

    def _repeated(self, series: str, values: list[float], now: float) -> list[float]:
        came_at, before = self._last.get(series, (-math.inf, []))
        if now - came_at >= self._config.series_ttl_s:
            name = next(name for name, value in zip(self._feature_names, values, strict=True) if math.isnan(value))
            raise DataError(f"column {name!r} is missing; expected a value, or one before it in its series to repeat")
        self.n_filled += sum(map(math.isnan, values))
        return [last if math.isnan(value) else value for value, last in zip(values, before, strict=True)]
