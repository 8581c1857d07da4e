"""A model beside its baselines, on the same labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.result import BoolArray
from offbeat_training.evaluation.conformal_flags import ConformalFlags, conformal_flags
from offbeat_training.evaluation.detection import DetectionQuality, measure
from offbeat_training.evaluation.range_quality import EXISTENCE_WEIGHT
from offbeat_training.evaluation.score_file import ScoreFile, Unit


class Contender(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One line of every table: scores and flags [line], and what they are worth."""

    name: str
    scores: NDArray[np.floating]
    is_flagged: BoolArray
    quality: DetectionQuality


class Comparison(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """All that a table, a JSON or a report draws from: `labels` and `timestamps` [line], and the contenders, model first.

    A line is a row, a window or a sample, as `unit` says. `vus_window` is in rows, None but for rows. `baselines` says how the
    baselines were fitted; it is empty where there are random scores only. `conformal` judges the model's p-values where calibration errors were given.
    """

    unit: Unit
    labels: BoolArray
    timestamps: NDArray[np.str_] | None
    vus_window: int | None
    baselines: Mapping[str, Any]
    contenders: tuple[Contender, ...]
    conformal: tuple[ConformalFlags, ...]

    def facts(self) -> dict[str, Any]:
        """The figures of every contender by name, and the parameters behind them, ready for JSON."""
        return {
            "unit": self.unit,
            "n": self.labels.size,
            "n_anomalous": int(self.labels.sum()),
            "vus_window": self.vus_window,
            "range_existence_weight": EXISTENCE_WEIGHT,
            "baselines": self.baselines,
            "conformal": self.conformal,
            "quality": {each.name: each.quality for each in self.contenders},
        }


def compare(
    scored: ScoreFile,
    labels: BoolArray,
    baseline_scores: Mapping[str, NDArray[np.floating]],
    vus_window: int,
    *,
    baseline_facts: Mapping[str, Any] | None = None,
    calibration: NDArray[np.floating] | None = None,
) -> Comparison:
    """Judges the scores of a file and, beside them, the `baseline_scores` [line] by name, `labels` being [line].

    A baseline flags as many lines as the model does, those with its highest scores; `baseline_facts` say how they were
    fitted. `calibration` are errors of further normal lines, for conformal p-values. Raises DataError as `measure` does.
    """
    window = vus_window if scored.unit == "row" else None
    flags = {scored.name: (scored.errors, scored.is_flagged)}
    n_flagged = int(scored.is_flagged.sum())
    flags |= {name: (scores, flag_highest(scores, n_flagged)) for name, scores in baseline_scores.items()}
    return Comparison(
        unit=scored.unit,
        labels=labels,
        timestamps=scored.timestamps,
        vus_window=window,
        baselines=baseline_facts or {},
        conformal=() if calibration is None else conformal_flags(labels, scored.errors, calibration),
        contenders=tuple(
            Contender(name=name, scores=scores, is_flagged=flagged, quality=measure(labels, scores, flagged, window))
            for name, (scores, flagged) in flags.items()
        ),
    )


def flag_highest(scores: NDArray[np.floating], n_flagged: int) -> BoolArray:
    """True for exactly the `n_flagged` highest of `scores` [line]; of equal ones the later."""
    is_flagged = np.zeros(scores.size, dtype=np.bool_)
    is_flagged[np.argsort(scores, kind="stable")[scores.size - n_flagged :]] = True
    return is_flagged
