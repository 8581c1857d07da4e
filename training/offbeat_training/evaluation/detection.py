"""How well scores tell anomalies from the rest."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score

from offbeat.errors import DataError
from offbeat.result import BoolArray
from offbeat_training.evaluation.vus import vus_pr


class DetectionQuality(msgspec.Struct, frozen=True, kw_only=True):
    """Figures between 0 and 1, higher is better.

    `vus_pr`, `roc_auc` and `pr_auc` judge the order of the scores and need no threshold; `vus_pr` is None for windows,
    which have no order in time. `precision`, `recall` and `f1` judge the flags, row by row: nothing is point-adjusted.
    """

    vus_pr: float | None
    roc_auc: float
    pr_auc: float
    precision: float
    recall: float
    f1: float


def measure(
    labels: BoolArray, scores: NDArray[np.floating], is_flagged: BoolArray, vus_window: int | None
) -> DetectionQuality:
    """Judges `scores` and flags [row] against `labels` [row], True in anomalies.

    `pr_auc` is the average precision Σ (Rₖ − Rₖ₋₁) Pₖ. Precision is 0 where nothing is flagged. `vus_window` is in rows;
    None leaves VUS-PR out. Raises DataError where the arrays do not fit or the labels hold one class only.
    """
    if not labels.shape == scores.shape == is_flagged.shape:
        raise DataError(
            f"{labels.size} labels, {scores.size} scores, {is_flagged.size} flags; expected one each per row"
        )
    if labels.all() or not labels.any():
        raise DataError(f"{int(labels.sum())} of {labels.size} labels are anomalous; expected some of either kind")
    precision, recall, f1, _ = precision_recall_fscore_support(labels, is_flagged, average="binary", zero_division=0)
    return DetectionQuality(
        vus_pr=None if vus_window is None else vus_pr(labels, scores, vus_window),
        roc_auc=float(roc_auc_score(labels, scores)),
        pr_auc=float(average_precision_score(labels, scores)),
        precision=float(precision),
        recall=float(recall),
        f1=float(f1),
    )


def measure_random(labels: BoolArray, n_flagged: int, vus_window: int | None, seed: int = 0) -> DetectionQuality:
    """The same for scores drawn uniformly from `seed`, the `n_flagged` highest of them flagged: what chance achieves."""
    scores = np.random.default_rng(seed).random(labels.size)
    is_flagged = np.zeros(labels.size, dtype=np.bool_)
    is_flagged[np.argsort(scores)[labels.size - n_flagged :]] = True
    return measure(labels, scores, is_flagged, vus_window)
