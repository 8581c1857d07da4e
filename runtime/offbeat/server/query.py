"""What both protocols ask for, and what both answer."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from offbeat.result import FloatArray


class Query(Struct, frozen=True, kw_only=True, eq=False):
    """Windows to score, as they came: the bytes fit the shape, nothing else is checked yet.

    `version` None asks for the newest. `outputs` () asks for the default ones. `id` is the caller's and goes back to it.
    """

    model: str
    version: int | None
    id: str
    windows: FloatArray
    outputs: tuple[str, ...]


class Scored(Struct, frozen=True, kw_only=True, eq=False):
    """The outputs of one request, in the order they were asked for, each with a row for each window.

    `backend` says who computed them. `queue_us` is the wait before a worker took the batch, `compute_us` the time of the
    batch, `batch_size` its rows.
    """

    model: str
    version: int
    backend: str
    outputs: dict[str, NDArray[np.generic]]
    queue_us: int
    compute_us: int
    batch_size: int
