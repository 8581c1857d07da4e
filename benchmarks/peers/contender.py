"""What takes part in the race."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from offbeat.result import FloatArray


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One engine on one batch: `call` computes, `errors` gives what the last call computed, [batch].

    A reduced precision is timed whatever its errors are; they are told beside its time. What computes in float32 must agree.
    """

    name: str
    call: Callable[[], object]
    errors: Callable[[], FloatArray]
    is_reduced: bool = False
