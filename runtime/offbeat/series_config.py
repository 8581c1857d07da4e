"""Configuration: what is remembered of series, for how long, and where it is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from offbeat.errors import require, require_count

OutOfOrder = Literal["refuse", "drop"]
# What a message of ScorePoints can say.
MAX_STRIDE = 2**32 - 1
_YEAR_S = 365 * 86_400


class SeriesConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The memory behind `ScorePoints`.

    For each model at most `max_series` series are remembered, in about `max_series_bytes`; the one that was used least recently
    makes room. A series without a row for `series_ttl_s` is forgotten. `out_of_order` says what becomes of a row that is not later than the one
    before it, by their timestamps: `refuse` the request, or `drop` the row. There is an alarm where at least `alarm_k` of the
    last `alarm_n` windows of a series are anomalous. With a `state_dir` what is remembered is written there every
    `series_snapshot_s` seconds and at the end, and read at the start. Raises ConfigurationError for values out of range.
    """

    max_series: int = 100_000
    max_series_bytes: int = 2**30
    series_ttl_s: float = 86_400.0
    out_of_order: OutOfOrder = "refuse"
    alarm_k: int = 1
    alarm_n: int = 1
    state_dir: Path | None = None
    series_snapshot_s: float = 30.0

    def __post_init__(self) -> None:
        require_count("max_series", self.max_series, 1, 10_000_000, "1 to 10,000,000 series")
        require_count("max_series_bytes", self.max_series_bytes, 1024, 2**40, "1 KiB to 1 TiB, in bytes")
        require(0.001 <= self.series_ttl_s <= _YEAR_S, "series_ttl_s", self.series_ttl_s, "0.001 to 31,536,000 seconds")
        require(self.out_of_order in ("refuse", "drop"), "out_of_order", self.out_of_order, "'refuse' or 'drop'")
        require_count("alarm_n", self.alarm_n, 1, 1000, "1 to 1,000 windows")
        require_count("alarm_k", self.alarm_k, 1, self.alarm_n, f"1 to alarm_n, {self.alarm_n}")
        require(
            0.05 <= self.series_snapshot_s <= 86_400,
            "series_snapshot_s",
            self.series_snapshot_s,
            "0.05 to 86,400 seconds",
        )
