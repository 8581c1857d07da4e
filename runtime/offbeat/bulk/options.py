"""How rows become windows, and windows lines."""

from __future__ import annotations

import msgspec

from offbeat.bulk.alarm_rule import AlarmRule
from offbeat.bulk.further_columns import check_columns
from offbeat.bulk.series_lines import Per, RowScore
from offbeat.bundle import Manifest
from offbeat.data import MissingPolicy
from offbeat.errors import require, require_count
from offbeat.series_config import MAX_STRIDE

# A batch has its memory before its first window.
MAX_BATCH = 2**20


class BulkOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Lines are rows or windows of a series, as `per` says; a row's error is the mean of the windows that cover it, or the
    newest one's. A window begins every `stride` rows; `batch_size` windows are scored at once; `columns` are added;
    `rule` adds alarms. Gaps are refused, or filled forward, as `missing` says. Raises ConfigurationError.
    """

    per: Per = "row"
    row_score: RowScore = "mean"
    stride: int = 1
    batch_size: int = 256
    columns: tuple[str, ...] = ()
    rule: AlarmRule | None = None
    missing: MissingPolicy = "reject"

    def __post_init__(self) -> None:
        require_count("stride", self.stride, 1, MAX_STRIDE, f"1 to {MAX_STRIDE:,} rows")
        require_count("batch_size", self.batch_size, 1, MAX_BATCH, f"1 to {MAX_BATCH:,} windows")
        for field, words in (("per", ("row", "window")), ("row_score", ("mean", "newest"))):
            require(getattr(self, field) in words, field, getattr(self, field), f"one of {', '.join(words)}")
        is_streamed = self.missing in ("reject", "forward-fill")
        require(
            is_streamed, "missing", self.missing, "reject or forward-fill, for rows in a stream: the others look ahead"
        )

    def check(self, manifest: Manifest, *, is_windows: bool = False) -> None:
        """Raises ConfigurationError, or InvalidWindowError for a p-value, for what the model cannot give; of ready-made windows,
        `is_windows`, there are no rows to leave out.
        """
        check_columns(manifest, self.columns)
        if manifest.window is not None and self.per == "row" and not is_windows:
            expected = f"at most {manifest.window.length}, the window, or rows between windows have no score"
            require(self.stride <= manifest.window.length, "stride", self.stride, expected)
