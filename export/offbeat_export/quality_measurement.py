"""What a variant's scores are worth beside its float32 model's, on the same data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from offbeat.backends import Backend
from offbeat.bundle.precision_record import PrecisionError, PrecisionQuality
from offbeat_export.quality_data import QualityData
from offbeat_training.evaluation import measure
from offbeat_training.evaluation.score_file import LARGEST_ERROR

Floats = NDArray[np.float64]
# Rows of VUS-PR's widest buffer: what `offbeat evaluate` takes where no period is given.
VUS_WINDOW = 100
_BATCH_SIZE = 256


def line_errors(backend: Backend, data: QualityData) -> Floats:
    """The error of each line of the data [line], as that engine gives it."""
    outputs = ("reconstruction_error",)
    parts = [
        backend.run(np.ascontiguousarray(data.windows[start : start + _BATCH_SIZE]), outputs)["reconstruction_error"]
        for start in range(0, len(data.windows), _BATCH_SIZE)
    ]
    # Absurd values have infinite errors, which no ranking takes.
    return data.by_line(np.minimum(np.concatenate(parts), LARGEST_ERROR))


def error_figures(fp32: Floats, errors: Floats) -> PrecisionError:
    """|Δ| of errors [line], absolute and as a share of float32's, which is 0 where both are."""
    delta = np.abs(errors - fp32)
    relative = delta / np.maximum(fp32, np.finfo(np.float32).tiny)
    return PrecisionError(
        max_absolute=float(delta.max()),
        mean_absolute=float(delta.mean()),
        max_relative=float(relative.max()),
        mean_relative=float(relative.mean()),
    )


def quality_figures(
    data: QualityData, threshold: float, fp32: Floats, errors: Floats, max_loss: float
) -> PrecisionQuality:
    """Agreement and detection quality of errors [line] beside float32's, both judged with the same threshold.

    Raises DataError for errors that are not numbers.
    """
    vus_window = min(VUS_WINDOW, data.labels.size - 1) if data.unit == "row" else None
    before, after = (measure(data.labels, each, each > threshold, vus_window) for each in (fp32, errors))
    return PrecisionQuality(
        data=data.source,
        unit=data.unit,
        n=data.labels.size,
        n_anomalous=int(data.labels.sum()),
        decision_agreement=float(np.mean((fp32 > threshold) == (errors > threshold))),
        rank_correlation=_rank_correlation(fp32, errors),
        roc_auc=after.roc_auc,
        fp32_roc_auc=before.roc_auc,
        vus_pr=after.vus_pr,
        fp32_vus_pr=before.vus_pr,
        max_loss=max_loss,
    )


def _rank_correlation(fp32: Floats, errors: Floats) -> float:
    """Spearman's, of errors [line]; where one side is constant, 1 for the same errors and 0 otherwise."""
    if np.ptp(fp32) == 0 or np.ptp(errors) == 0:
        return float(np.array_equal(fp32, errors))
    correlation: float = spearmanr(fp32, errors).statistic
    return min(1.0, max(-1.0, float(correlation)))
