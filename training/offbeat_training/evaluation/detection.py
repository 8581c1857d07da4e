"""How well scores tell anomalies from the rest."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from offbeat.errors import DataError
from offbeat.result import BoolArray
from offbeat_training.evaluation.affiliation import AffiliationQuality, affiliation_quality
from offbeat_training.evaluation.confusion import Confusion
from offbeat_training.evaluation.delay import DetectionDelay, detection_delay
from offbeat_training.evaluation.range_quality import RangeQuality, range_quality
from offbeat_training.evaluation.vus import vus_pr
from offbeat_training.thresholds import BestF1, best_f1


class DetectionQuality(msgspec.Struct, frozen=True, kw_only=True):
    """How well scores, and the flags drawn from them, agree with labels; figures between 0 and 1 but for counts and delays.

    `vus_pr`, `roc_auc`, `pr_auc` and `best` judge the order of the scores and need no threshold. The others judge the
    flags: `precision`, `recall`, `f1`, `false_positive_rate` and `confusion` row by row, nothing is point-adjusted;
    `ranges`, `affiliation` and `delay` by the runs of rows. `vus_pr` and these three are None for windows and samples, which have
    no order in time. docs/evaluation.md defines each.
    """

    vus_pr: float | None
    roc_auc: float
    pr_auc: float
    best: BestF1
    precision: float
    recall: float
    f1: float
    false_positive_rate: float
    confusion: Confusion
    ranges: RangeQuality | None
    affiliation: AffiliationQuality | None
    delay: DetectionDelay | None


def measure(
    labels: BoolArray, scores: NDArray[np.floating], is_flagged: BoolArray, vus_window: int | None
) -> DetectionQuality:
    """Judges `scores` and flags [row] against `labels` [row], True in anomalies.

    `pr_auc` is the average precision Σ (Rₖ − Rₖ₋₁) Pₖ. Precision is 0 where nothing is flagged. `vus_window` is in rows;
    None leaves out what needs an order in time. Raises DataError where the arrays do not fit, for scores that are not
    finite, and for labels of one class only.
    """
    _check(labels, scores, is_flagged)
    confusion = Confusion.of(labels, is_flagged)
    in_time = vus_window is not None
    return DetectionQuality(
        vus_pr=None if vus_window is None else vus_pr(labels, scores, vus_window),
        roc_auc=float(roc_auc_score(labels, scores)),
        pr_auc=float(average_precision_score(labels, scores)),
        best=best_f1(labels, scores),
        precision=confusion.precision,
        recall=confusion.recall,
        f1=confusion.f1,
        false_positive_rate=confusion.false_positive_rate,
        confusion=confusion,
        ranges=range_quality(labels, is_flagged) if in_time else None,
        affiliation=affiliation_quality(labels, is_flagged) if in_time else None,
        delay=detection_delay(labels, is_flagged) if in_time else None,
    )


def _check(labels: BoolArray, scores: NDArray[np.floating], is_flagged: BoolArray) -> None:
    if not labels.shape == scores.shape == is_flagged.shape:
        raise DataError(
            f"{labels.size} labels, {scores.size} scores, {is_flagged.size} flags; expected one each per row"
        )
    if not np.isfinite(scores).all():
        raise DataError("scores hold NaN or infinity; expected finite numbers")
    if labels.all() or not labels.any():
        raise DataError(f"{int(labels.sum())} of {labels.size} labels are anomalous; expected some of either kind")
