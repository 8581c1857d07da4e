"""The model and its baselines, fitted on one part of a data set and scoring another."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.data import Dataset
from offbeat_training import Checkpoint, TrainingConfig
from offbeat_training.evaluation.baselines import fitted_scores, random_scores
from offbeat_training.evaluation.score_file import Unit
from offbeat_training.fit import fit
from offbeat_training.window_scores import score

Floats = NDArray[np.float64]

MODEL, PCA, FOREST, RANDOM = CONTENDERS = ("offbeat", "PCA", "isolation forest", "random")


class Scored(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Scores [line] by contender; seconds to fit and to score, those of PCA and the isolation forest in one."""

    scores: Mapping[str, Floats]
    model_s: float
    baselines_s: float


def score_all(train: Dataset, data: Dataset, config: TrainingConfig, unit: Unit, seed: int) -> Scored:
    """Fits all contenders on the normal part of `train` and scores each line of `data`; its labels are not read."""
    started = time.perf_counter()
    checkpoint = fit(train, msgspec.structs.replace(config, seed=seed))
    model = {MODEL: score(checkpoint, data.values).astype(np.float64)}
    trained = time.perf_counter()
    baselines = fitted_scores(train, data, config.seq_len, unit, seed) | {RANDOM: random_scores(data.n_rows, seed)}
    scored = Scored(scores=model | baselines, model_s=trained - started, baselines_s=time.perf_counter() - trained)
    _tell(data, seed, checkpoint, scored)
    return scored


def _tell(data: Dataset, seed: int, checkpoint: Checkpoint, scored: Scored) -> None:
    n_epochs = checkpoint.training["n_epochs"]
    print(
        f"{data.name}, seed {seed}: {n_epochs} epochs, model {scored.model_s:.1f} s, baselines {scored.baselines_s:.1f} s",
        file=sys.stderr,
        flush=True,
    )
