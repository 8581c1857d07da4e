"""What `offbeat evaluate` sets beside the scores of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from offbeat.data import read_dataset
from offbeat.errors import ConfigurationError, DataError
from offbeat_training.evaluate_flags import EvaluateFlags

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from offbeat_training.evaluation import ScoreFile


def scored_data(asked: EvaluateFlags) -> Path:
    """The file of the data that were scored. Raises ConfigurationError where none is named."""
    data = asked.data or asked.labels
    if data.suffix == ".json":
        raise ConfigurationError("data is not given, and labels is a json file; expected --data beside --train")
    return data


def baseline_scores(asked: EvaluateFlags, scored: ScoreFile) -> dict[str, NDArray[np.float64]]:
    """Scores [line] by chance and, where there are training data, by PCA and an isolation forest. Raises DataError."""
    from offbeat_training.evaluation.baselines import fitted_scores, random_scores

    baselines = {"random scores": random_scores(scored.errors.size)}
    if asked.train is None:
        return baselines
    path = scored_data(asked)
    data = read_dataset(path, asked.of_data())
    train = read_dataset(asked.train, asked.of_train(data.feature_names))
    baselines |= fitted_scores(train, data, asked.seq_len, scored.unit)
    for name, each in baselines.items():
        if each.size != scored.errors.size:
            raise DataError(f"{path}: {each.size} {scored.unit}s by {name}; {scored.errors.size} were scored")
    return baselines


def baseline_facts(asked: EvaluateFlags, scored: ScoreFile) -> dict[str, Any]:
    """How they were fitted; nothing where they were not."""
    from offbeat_training.evaluation.baselines import EXPLAINED_VARIANCE, N_TREES

    if asked.train is None:
        return {}
    return {
        "train": str(asked.train),
        "data": str(scored_data(asked)),
        "seq_len": 1 if scored.unit == "sample" else asked.seq_len,
        "explained_variance": EXPLAINED_VARIANCE,
        "n_trees": N_TREES,
    }
