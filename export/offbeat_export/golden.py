"""`golden.npz`: windows with the eager model's outputs, so that every loader can prove itself."""

from __future__ import annotations

import io

import numpy as np

from offbeat.result import FloatArray
from offbeat_export.eager import evaluate
from offbeat_export.scoring_module import ScoringModule
from offbeat_export.window_source import WindowSource

N_WINDOWS = 32


def golden_npz(module: ScoringModule, source: WindowSource) -> bytes:
    """The archive for `golden_window`."""
    return golden_of(module, golden_window(source))


def golden_of(module: ScoringModule, window: FloatArray) -> bytes:
    """An npz archive of `window`, float32 in raw units, and of each output of the eager float32 scorer, by name."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, window=window, **evaluate(module, window, module.output_names))
    return buffer.getvalue()


def golden_window(source: WindowSource) -> FloatArray:
    """32 windows of the trained length: half of them real, the others random but for one constant, one zero, one extreme."""
    n_real = N_WINDOWS // 2
    kinds = {"real": n_real, "constant": 1, "zero": 1, "extreme": 1, "random": N_WINDOWS - n_real - 3}
    return np.concatenate([source.draw(kind, n) for kind, n in kinds.items()])
