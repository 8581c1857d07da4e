"""What is known of series at one moment."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from offbeat.result import FloatArray
from offbeat.streams.rows import Integers


class SeriesState(Struct, frozen=True, kw_only=True, eq=False):
    """Copies, series by series in the order of `names`, of a model whose windows have `length` steps of those features.

    `tails` [series, length - 1, feature] are the last rows, zeros before the first; `n_seen` says how many rows there have been,
    `timestamps` what the last one's was (order.NEVER: none had one), `ages_s` how long ago it came. `flags`
    [series, alarm_n - 1] are those of the last windows.
    """

    model: str
    length: int
    feature_names: tuple[str, ...]
    names: list[str]
    tails: FloatArray
    n_seen: Integers
    timestamps: Integers
    ages_s: NDArray[np.float64]
    flags: NDArray[np.uint8]
