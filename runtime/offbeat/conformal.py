"""Conformal p-values: how usual an error as large is among those of normal windows."""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.errors import TrainingError, require

MAX_POINTS = 1000
# The largest errors are all kept: it is their p-values that decide.
_N_LARGEST = 500

Floats = NDArray[np.floating]


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Errors of held-out normal windows, or a summary of them: up to 1,000 of the errors, ascending, with their ranks.

    `errors` [point] are exact float32 numbers; `ranks` [point] count from 1 in the order of all n errors, the last being n.
    Raises ConfigurationError for anything else.
    """

    errors: tuple[float, ...]
    ranks: tuple[Annotated[int, msgspec.Meta(ge=1)], ...]

    def __post_init__(self) -> None:
        n_points = len(self.errors)
        require(1 <= n_points <= MAX_POINTS, "calibration.errors", f"{n_points} numbers", f"1 to {MAX_POINTS:,}")
        require(
            len(self.ranks) == n_points, "calibration.ranks", f"{len(self.ranks)} ranks", f"{n_points}, as of errors"
        )
        is_ascending = all(low < high for low, high in zip(self.ranks, self.ranks[1:], strict=False))
        require(is_ascending, "calibration.ranks", list(self.ranks[:5]), "each larger than the one before")
        for low, high in zip((0.0, *self.errors), self.errors, strict=False):
            require(
                _is_float32(high) and low <= high, "calibration.errors", high, "ascending float32 numbers from 0 up"
            )

    @classmethod
    def of(cls, errors: Floats, kept_rank: int) -> Calibration:
        """All `errors` [window] where there are no more than 1,000; else the 500 largest, the error of `kept_rank`, and
        others at even distances of rank. Errors beyond float32 count as its largest number.
        """
        n = errors.size
        ranks = np.arange(1, n + 1)
        if n > MAX_POINTS:
            n_others = MAX_POINTS - _N_LARGEST - 1
            others = np.linspace(1, n - _N_LARGEST, n_others).round().astype(np.int64)
            ranks = np.unique(np.concatenate([others, ranks[-_N_LARGEST:], [kept_rank]]))
        largest = np.finfo(np.float32).max
        ordered = np.minimum(np.sort(errors, axis=None), largest).astype(np.float32)
        return cls(errors=tuple(ordered[ranks - 1].tolist()), ranks=tuple(ranks.tolist()))

    @property
    def n_windows(self) -> int:
        """How many errors there were."""
        return self.ranks[-1]

    def p_values(self, errors: Floats) -> NDArray[np.float64]:
        """For each of `errors` [...] p = (1 + n − r) / (n + 1), r being the largest rank of a smaller error kept, else 0.

        That is the p-value of `conformal_p_values` where every error is kept, and among the 500 largest of more; else it
        is never below that, and above it by less than 1 / 498. NaN where the error is.
        """
        n_below = np.concatenate([[0], self.ranks])[np.searchsorted(self.errors, errors, side="left")]
        p_values = (1 + self.n_windows - n_below) / (self.n_windows + 1)
        return np.where(np.isnan(errors), np.nan, p_values)


def conformal_p_values(calibration: Floats, errors: Floats) -> NDArray[np.float64]:
    """For each of `errors` [...], the chance of an error as large where the window is as normal as the calibration.

    p = (1 + #{calibration errors ≥ error}) / (n + 1), for n errors `calibration` [window] of held-out normal windows; so
    it is never below 1 / (n + 1). Of windows exchangeable with those, at most a share α has p ≤ α, for every α.
    Raises TrainingError without a calibration error, and for NaN.

    Source: Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005; split form: Laxhammar, Falkman,
    "Inductive conformal anomaly detection for sequential detection of anomalous sub-trajectories", 2015.
    """
    if not calibration.size or np.isnan(calibration).any() or np.isnan(errors).any():
        raise TrainingError(f"{calibration.size} calibration errors; expected at least one, and no NaN anywhere")
    n_below = np.searchsorted(np.sort(calibration, axis=None), errors, side="left")
    return np.asarray((1 + calibration.size - n_below) / (calibration.size + 1))


def _is_float32(value: float) -> bool:
    with np.errstate(over="ignore"):
        return math.isfinite(value) and float(np.float32(value)) == value
