"""What a search judges a trial by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from offbeat.data import Dataset
from offbeat.errors import TrainingError
from offbeat.result import BoolArray
from offbeat_training.checkpoint import Checkpoint
from offbeat_training.checkpoint_draft import errors_of
from offbeat_training.config import TrainingConfig
from offbeat_training.search_config import Metric
from offbeat_training.training_data import prepare
from offbeat_training.window_scores import score

_CURVES = {"roc-auc": roc_auc_score, "pr-auc": average_precision_score}


def require_labels(metric: Metric, dataset: Dataset) -> None:
    """Raises TrainingError, before any training, where an area is to be measured on a data set without both kinds of labels."""
    if metric != "validation-loss":
        _require_both_kinds(metric, dataset.labels)


def judge(
    checkpoint: Checkpoint, metric: Metric, dataset: Dataset, config: TrainingConfig, labelled: Dataset | None
) -> float:
    """The metric of a trained model: its lowest validation loss, or an area under a curve of its errors.

    The areas are those of `labelled`, row by row, where it is given, else of the windows of `dataset` that were not learnt
    from: those held out against those labelled anomalous. Raises TrainingError where there are no anomalies to tell.
    """
    if metric == "validation-loss":
        return float(checkpoint.training["best_validation_loss"])
    if labelled is not None:
        return _area(metric, labelled.labels, score(checkpoint, labelled.values))
    data, model = prepare(dataset, config), checkpoint.build_model()
    parts = [errors_of(model, data.windows, positions) for positions in (data.validation, data.anomalous)]
    labels = np.repeat([False, True], [data.validation.size, data.anomalous.size])
    return _area(metric, labels, np.concatenate(parts))


def _area(metric: Metric, labels: BoolArray | None, errors: NDArray[np.floating]) -> float:
    _require_both_kinds(metric, labels)
    return float(_CURVES[metric](labels, errors))


def _require_both_kinds(metric: Metric, labels: BoolArray | None) -> None:
    if labels is None or labels.all() or not labels.any():
        raise TrainingError(f"{metric} needs labels of both kinds; give a label_column, or labelled_data with one")
