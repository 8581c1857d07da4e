"""How far an engine is from eager float32, on batches that a GPU computes in different ways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from offbeat.backends import Backend
from offbeat.bundle import Manifest, ModelVersion
from offbeat.bundle.golden import Golden
from offbeat.result import DEFAULT_OUTPUTS, FloatArray

# Full buckets, padded ones, and one batch that is cut in two.
BATCHES = (1, 3, 8, 63, 512, 700)
_ERROR = "reconstruction_error"


def normal_windows(
    manifest: Manifest, n_windows: int, seed: int, *, scale: float = 1.0, length: int | None = None
) -> FloatArray:
    """Windows around the training data's mean, `scale` of its deviations wide; of the trained length unless told otherwise."""
    steps = () if manifest.window is None else (length or manifest.window.length,)
    shape = (n_windows, *steps, len(manifest.feature_names))
    normal = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    mean, deviation = (
        np.asarray(values, np.float32) for values in (manifest.normalisation.mean, manifest.normalisation.scale)
    )
    return np.ascontiguousarray(mean + np.float32(scale) * normal * deviation)


def parity_cases(model: ModelVersion) -> Iterator[tuple[str, FloatArray]]:
    """Windows by the name of their case."""
    manifest = model.manifest
    yield "golden", model.golden().window
    for n_windows in BATCHES:
        yield f"random, batch {n_windows}", normal_windows(manifest, n_windows, seed=n_windows)
    yield "large, batch 63", normal_windows(manifest, 63, seed=1, scale=30.0)
    yield "small, batch 63", normal_windows(manifest, 63, seed=2, scale=1e-3)
    if manifest.window is not None and manifest.window.is_time_dynamic:
        yield "another length, batch 63", normal_windows(manifest, 63, seed=3, length=manifest.window.length + 7)


def parity(model: ModelVersion, engine: Backend, reference: Backend) -> dict[str, Any]:
    """The worst deviation from the reference in units of the bound, where it was, and how far the score depends on others."""
    worst: dict[str, Any] = {"deviation": 0.0, "case": "", "output": ""}
    for case, windows in parity_cases(model):
        names = model.manifest.output_names
        expected = Golden(window=windows, outputs=reference.run(windows, names))
        for asked in (DEFAULT_OUTPUTS, names):
            deviation, output = expected.largest_deviation(model.manifest, engine.run(windows, asked))
            if not deviation <= worst["deviation"]:
                worst = {"deviation": deviation, "case": case, "output": output}
    return worst | {"depends_on_others": dependence(model, engine)}


def dependence(model: ModelVersion, engine: Backend) -> float:
    """The largest relative change of a window's error when all other windows of its batch are exchanged for large ones."""
    largest = 0.0
    for n_windows in (2, 3, 64, 100):
        windows = normal_windows(model.manifest, n_windows, seed=5)
        others = normal_windows(model.manifest, n_windows, seed=6, scale=30.0)
        others[0] = windows[0]
        first, second = (float(engine.run(batch, (_ERROR,))[_ERROR][0]) for batch in (windows, others))
        largest = max(largest, abs(first - second) / max(abs(first), 1e-30))
    return largest
