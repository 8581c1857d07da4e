"""Scorers whose backend the test holds in its hand."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from offbeat.result import FloatArray
from offbeat.scorer import Scorer
from tests.runtime.folders import expected_outputs, make_manifest

Outputs = dict[str, NDArray[np.generic]]


class NumpyBackend:
    """Computes the scores in numpy, and remembers the rows of each call."""

    name = "numpy"
    description = "numpy (test)"

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.is_closed = False

    def run(self, window: FloatArray, outputs: Sequence[str]) -> Outputs:
        self.batches.append(len(window))
        results = expected_outputs(window)
        return {name: results[name] for name in outputs}

    def close(self) -> None:
        self.is_closed = True


class GatedBackend(NumpyBackend):
    """Waits in every call until the test opens the gate; `entered` is released once for each call that came in."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)

    def run(self, window: FloatArray, outputs: Sequence[str]) -> Outputs:
        results = super().run(window, outputs)
        self.entered.release()
        assert self.gate.wait(120), "the test never opened the gate"
        return results


class FailingBackend(NumpyBackend):
    """Fails for windows that hold the given value."""

    def __init__(self, trigger: float, error: BaseException) -> None:
        super().__init__()
        self._trigger = trigger
        self._error = error

    def run(self, window: FloatArray, outputs: Sequence[str]) -> Outputs:
        if (window == self._trigger).any():
            raise self._error
        return super().run(window, outputs)


def make_scorer(backend: NumpyBackend | None = None, *, name: str = "level", version: int = 1) -> Scorer:
    """A scorer of the hand-made model of tests.runtime.folders."""
    return Scorer(make_manifest({}, name, version), backend or NumpyBackend())
