"""The models and their baselines, fitted on one part of a data set and scoring another."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.data import Dataset
from offbeat_training import Checkpoint, TrainingConfig
from offbeat_training.auto import resolve
from offbeat_training.evaluation.baselines import fitted_scores, random_scores
from offbeat_training.evaluation.score_file import Unit
from offbeat_training.fit import fit
from offbeat_training.window_scores import score

Floats = NDArray[np.float64]

# `auto` is the recipe, the same for every set; `fixed` has one configuration for each. PCA and the forest see windows as
# long as those of `fixed`; PCA is measured on windows of the recipe's length too, so that what the window is worth shows.
AUTO, FIXED, PCA, AUTO_PCA, RANDOM = "auto", "fixed", "PCA", "PCA, auto's window", "random"


class Scored(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Scores [line] and seconds to fit and to score by contender; `threshold` is the one that `auto` chose itself."""

    scores: Mapping[str, Floats]
    seconds: Mapping[str, float]
    threshold: float


def score_all(
    train: Dataset, data: Dataset, config: TrainingConfig | None, unit: Unit, seed: int, seq_len: int
) -> Scored:
    """Fits all contenders on the normal part of `train` and scores each line of `data`; its labels are not read.

    `config` is that of `fixed`, None to leave it out; `seq_len` is the window of the baselines.
    """
    recipe = TrainingConfig(preset="auto", seed=seed, device="cpu")
    auto, auto_scores, auto_s = _fitted(train, data, recipe)
    scores, seconds = {AUTO: auto_scores}, {AUTO: auto_s}
    if config is not None:
        _, scores[FIXED], seconds[FIXED] = _fitted(train, data, msgspec.structs.replace(config, seed=seed))
    started = time.perf_counter()
    scores |= fitted_scores(train, data, seq_len, unit, seed)
    seconds["baselines"] = time.perf_counter() - started
    own_len = resolve(train, recipe).config.seq_len
    scores[AUTO_PCA] = fitted_scores(train, data, own_len, unit, seed)[PCA] if unit == "row" else scores[PCA]
    scores[RANDOM] = random_scores(data.n_rows, seed)
    scored = Scored(scores=scores, seconds=seconds, threshold=auto.threshold.value)
    _tell(data, seed, auto, scored)
    return scored


def _fitted(train: Dataset, data: Dataset, config: TrainingConfig) -> tuple[Checkpoint, Floats, float]:
    started = time.perf_counter()
    checkpoint = fit(train, config)
    scores = score(checkpoint, data.values).astype(np.float64)
    return checkpoint, scores, time.perf_counter() - started


def _tell(data: Dataset, seed: int, auto: Checkpoint, scored: Scored) -> None:
    chosen = {name: auto.training_config[name] for name in ("preset", "seq_len", "stride")}
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in scored.seconds.items())
    print(
        f"{data.name}, seed {seed}: {chosen}, {auto.training['n_epochs']} epochs; {seconds}",
        file=sys.stderr,
        flush=True,
    )
