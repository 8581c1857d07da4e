"""What one seed reached on one part of a set."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.contenders import Scored
from offbeat.data import Dataset
from offbeat.errors import DataError
from offbeat.result import BoolArray


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """`figures` by contender and metric, `seconds` by contender; a part is a series, a machine or a table."""

    set: str
    part: str
    seed: int
    figures: Mapping[str, Mapping[str, float]]
    seconds: Mapping[str, float]

    @classmethod
    def of(
        cls,
        name: tuple[str, str],
        seed: int,
        scored: Scored,
        metric: str,
        judge: Callable[[NDArray[np.float64]], float],
    ) -> Trial:
        """Judges the scores of every contender by one metric; `name` is of the set and the part."""
        figures = {contender: {metric: judge(scores)} for contender, scores in scored.scores.items()}
        return cls(set=name[0], part=name[1], seed=seed, figures=figures, seconds=scored.seconds)


def labels_of(data: Dataset) -> BoolArray:
    """The labels [line] to judge by. Raises DataError where there are none."""
    if data.labels is None:
        raise DataError(f"{data.name}: no labels; expected some to judge by")
    return data.labels
