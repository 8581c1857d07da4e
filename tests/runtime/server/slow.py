"""A backend that takes its time, for a server in a process of its own."""

from __future__ import annotations

import time
from typing import Any

from offbeat.scorer import Scorer

_run = Scorer.run
_open = Scorer.open


def slow_down(delay_s: float) -> None:
    """Has every batch take `delay_s` longer, once the models are loaded."""

    def run(self: Scorer, windows: Any, outputs: Any) -> Any:
        time.sleep(delay_s)
        return _run(self, windows, outputs)

    def open_and_slow_down(*arguments: Any) -> Scorer:
        scorer = _open(*arguments)
        Scorer.run = run  # type: ignore[method-assign]
        return scorer

    Scorer.open = staticmethod(open_and_slow_down)  # type: ignore[assignment, method-assign]
