"""How far recent windows are from those that a model was made for. Pure numpy, and nothing of the server."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from offbeat.bundle import Golden, Manifest
from offbeat.result import FloatArray

# Below, the figures would say more of chance than of drift.
MIN_WINDOWS = 50
_MAX_BINS = 10
_VALUES_PER_BIN = 5
# Half a value in each bin beforehand: an empty one must not make the index infinite.
_PRIOR = 0.5
# A multiple of the quantiles' steps, so that each is there.
_N_SAMPLED = 401
Values = NDArray[np.float32]


class Reference(Struct, frozen=True, kw_only=True, eq=False):
    """What was normal: values of each feature over `n_windows` windows, and their scores, ascending.

    `mean` and `scale` are the normalisation's, which come from all training data.
    """

    feature_names: tuple[str, ...]
    n_windows: int
    features: tuple[Values, ...]
    scores: Values
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def of(cls, golden: Golden, manifest: Manifest) -> Reference:
        """By the quantiles of the training data, where the manifest has them; otherwise by the first half of the golden windows.

        These are held-out normal ones. From quantiles a sample is made that has them; of scores, by the errors and the threshold.
        """
        normal = manifest.training.normal
        if normal is not None:
            return cls(
                feature_names=manifest.feature_names,
                n_windows=normal.n_windows,
                features=tuple(_sample_of(quantiles) for quantiles in normal.features),
                scores=np.clip(_sample_of(normal.errors) / (2 * manifest.threshold.value), 0, 1).astype(np.float32),
                mean=manifest.normalisation.mean,
                scale=manifest.normalisation.scale,
            )
        n_windows = max(1, len(golden.window) // 2)
        return cls(
            feature_names=manifest.feature_names,
            n_windows=n_windows,
            features=_by_feature(golden.window[:n_windows]),
            scores=np.sort(golden.outputs["anomaly_score"][:n_windows].astype(np.float32)),
            mean=manifest.normalisation.mean,
            scale=manifest.normalisation.scale,
        )


class Difference(Struct, frozen=True, kw_only=True):
    """`psi` is the population stability index, `ks` the Kolmogorov-Smirnov statistic, `mean_shift` how far the mean is from the
    training data's, in units of the normalisation's scale; of scores, from the reference's, in scores.
    """

    psi: float
    ks: float
    mean_shift: float


class Drift(Struct, frozen=True, kw_only=True):
    """The differences of each feature by name, and of the scores."""

    features: dict[str, Difference]
    scores: Difference


def drift(reference: Reference, windows: list[FloatArray], scores: Values) -> Drift | None:
    """Recent windows, each [time, feature] or [feature], and their scores, against the reference; None for too few."""
    if len(windows) < MIN_WINDOWS:
        return None
    features = _by_feature(np.concatenate([window.reshape(-1, len(reference.features)) for window in windows]))
    recent_scores = np.sort(scores)
    return Drift(
        features={
            name: _difference(before, now, mean, scale)
            for name, before, now, mean, scale in zip(
                reference.feature_names, reference.features, features, reference.mean, reference.scale, strict=True
            )
        },
        scores=_difference(reference.scores, recent_scores, float(reference.scores.mean(dtype=np.float64)), 1.0),
    )


def _difference(reference: Values, recent: Values, mean: float, scale: float) -> Difference:
    shift = (float(recent.mean(dtype=np.float64)) - mean) / scale
    return Difference(psi=psi(reference, recent), ks=ks(reference, recent), mean_shift=shift)


def psi(reference: Values, recent: Values) -> float:
    """Population stability index, Σ (q - p) ln(q / p), of two ascending samples.

    p and q are the shares of the reference and of the recent values in bins between quantiles of the reference, at most ten and
    of five values at least (N. Siddiqi, Credit Risk Scorecards, 2006).
    """
    n_bins = min(_MAX_BINS, max(2, len(reference) // _VALUES_PER_BIN))
    edges = np.unique(np.quantile(reference, np.arange(1, n_bins) / n_bins).astype(np.float32))
    p, q = (_shares(values, edges) for values in (reference, recent))
    return float(np.sum((q - p) * np.log(q / p)))


def ks(reference: Values, recent: Values) -> float:
    """The Kolmogorov-Smirnov statistic of two ascending samples: the largest difference of their distribution functions."""
    values = np.concatenate((reference, recent))
    reached = [np.searchsorted(sample, values, side="right") / len(sample) for sample in (reference, recent)]
    return float(np.abs(reached[0] - reached[1]).max())


def _shares(ascending: Values, edges: Values) -> NDArray[np.float64]:
    places = np.concatenate(([0], np.searchsorted(ascending, edges, side="right"), [len(ascending)]))
    counts = np.diff(places) + _PRIOR
    shares: NDArray[np.float64] = counts / counts.sum()
    return shares


def _sample_of(quantiles: tuple[float, ...]) -> Values:
    """Ascending values with these quantiles, evenly spread between two of them."""
    places = np.linspace(0, 1, _N_SAMPLED)
    return np.interp(places, np.linspace(0, 1, len(quantiles)), quantiles).astype(np.float32)


def _by_feature(windows: FloatArray) -> tuple[Values, ...]:
    """The values of each feature, ascending."""
    return tuple(np.sort(windows.reshape(-1, windows.shape[-1]), axis=0).T)
