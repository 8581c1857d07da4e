"""What both protocols ask for, and what both answer."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from offbeat.reply_timing import ReplyTiming
from offbeat.result import FloatArray
from offbeat.server.scoring.form import RequestForm


class Query(Struct, frozen=True, kw_only=True, eq=False):
    """Windows to score, as they came: nothing is checked yet.

    `data` is the windows' little-endian float32 bytes, row-major, or as many values. `version` None asks for the newest.
    `outputs` () asks for the default ones. `priority` 1 goes before 2; 0 asks for the default one. `timeout_s` is how long the
    caller wants to wait at most, beside the call's own deadline. `id` is the caller's and goes back to it. `form` is set where
    the windows have been checked against that form already, which is one of the model's.
    """

    model: str
    version: int | None
    id: str
    shape: tuple[int, ...]
    data: bytes | FloatArray
    outputs: tuple[str, ...]
    priority: int = 0
    timeout_s: float | None = None
    form: RequestForm | None = None


class Scored(Struct, frozen=True, kw_only=True, eq=False):
    """The outputs of one request, in the order they were asked for, each with a row for each window.

    `form` is the request's. `timing` is told in the reply's trailing metadata.
    """

    model: str
    form: RequestForm
    outputs: dict[str, NDArray[np.generic]]
    timing: ReplyTiming

    @property
    def version(self) -> int:
        """The version that scored it."""
        return self.timing.version
