"""What a search looks for, and how long."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import msgspec

from offbeat.errors import require

Method = Literal["tpe", "grid"]
Metric = Literal["validation-loss", "roc-auc", "pr-auc"]
N_TRIALS = 20
STUDY_FILE = "study.db"


class SearchConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a search goes about it. Raises ConfigurationError for values out of range.

    `space` changes the default space or adds to it, in the words of `parse_space`; fields that are `fixed` leave it. `method` `grid` tries every combination,
    `tpe` samples where earlier trials were good. `n_trials` counts the trials of all sittings; None takes every point of a
    grid, else 20. `metric` is the lowest validation loss, or the area under a curve on labelled windows. `model_dir` gets
    the study, the best checkpoint, its configuration, and a plot; `resume` continues the study that it holds.
    """

    space: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    method: Method = "tpe"
    metric: Metric = "validation-loss"
    n_trials: int | None = None
    model_dir: Path = Path("search")
    resume: bool = False

    def __post_init__(self) -> None:
        for field, words in (("method", get_args(Method)), ("metric", get_args(Metric))):
            require(getattr(self, field) in words, field, getattr(self, field), f"one of {', '.join(words)}")
        n = self.n_trials
        require(n is None or 1 <= n <= 1_000_000, "n_trials", n, "1 to 1,000,000")

    @property
    def is_minimised(self) -> bool:
        """Whether less of the metric is better."""
        return self.metric == "validation-loss"
