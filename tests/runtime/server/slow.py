"""A backend that takes its time, for a server in a process of its own."""

from __future__ import annotations

import time
from typing import Any

from offbeat.batching import BatchCost
from offbeat.scorer import Scorer
from offbeat.server.models import loading
from offbeat.server.scoring.served import ServedModel

_run = Scorer.run
_warm_up = loading.warm_up


def slow_down(delay_s: float) -> None:
    """Has every batch take `delay_s` longer, once the models are loaded, and be expected to; each is told on standard output."""

    def run(self: Scorer, windows: Any, outputs: Any) -> Any:
        # For whoever started the process, and waits for this.
        print("a batch runs", flush=True)  # noqa: T201
        time.sleep(delay_s)
        return _run(self, windows, outputs)

    def warm_up_and_slow_down(model: ServedModel) -> None:
        _warm_up(model)
        model.cost = BatchCost()
        model.cost.record(1, 10.0, 0.0)
        Scorer.run = run  # type: ignore[method-assign]

    loading.warm_up = warm_up_and_slow_down  # type: ignore[attr-defined]
