"""Which parts of a file mean what."""

from __future__ import annotations

from typing import get_args

import msgspec

from offbeat.data.dataset import Layout
from offbeat.data.missing import MissingPolicy
from offbeat.errors import require


class ColumnSelection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which parts of a file mean what, and what becomes of missing values. Raises ConfigurationError.

    `features` are column names, all numeric columns where none are given. `timestamp_column`, `label_column` and
    `class_column` are names; a column of time stamps is recognised by itself where none is named. A label other than
    `normal_label` marks an anomaly; classes are kept as words, for a model that learns them. `delimiter` of a csv file is
    recognised where none is given. `key` names the array of an npz file, and the three columns its arrays. `layout` says
    what a row of a two-dimensional array or table is: one step or sample (`rows`), or one window of a single feature
    (`windows`). `missing` says what becomes of NaN and empty cells: `reject`, `forward-fill` or `interpolate`, as
    `fill_missing` does. `series_column` names the series of each row, where a file holds several.
    """

    features: tuple[str, ...] = ()
    timestamp_column: str | None = None
    label_column: str | None = None
    class_column: str | None = None
    normal_label: str = "0"
    delimiter: str | None = None
    key: str | None = None
    layout: Layout = "rows"
    missing: MissingPolicy = "reject"
    series_column: str | None = None

    def __post_init__(self) -> None:
        is_other = self.class_column is None or self.class_column not in (self.label_column, *self.features)
        require(is_other, "class_column", self.class_column, "another column than the labels' and the features'")
        for field, words in (("layout", get_args(Layout)), ("missing", get_args(MissingPolicy))):
            word = getattr(self, field)
            require(word in words, field, word, f"one of {', '.join(words)}")
