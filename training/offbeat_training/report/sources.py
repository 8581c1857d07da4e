"""The files that a report is made from."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np

from offbeat.data import ColumnSelection, Dataset, read_dataset
from offbeat.errors import DataError
from offbeat_training.evaluation import Comparison, read_scores
from offbeat_training.report.history import read_history
from offbeat_training.report.inputs import ReportInputs
from offbeat_training.report.model_facts import ModelFacts, read_model_facts
from offbeat_training.report.outputs_file import ModelOutputs, read_outputs


class ReportSources(msgspec.Struct, frozen=True, kw_only=True):
    """Paths of what is there; `of_data` says which parts of `data`, which was scored, mean what.

    Without `data` the file of labels is it, where `of_data` names a column of labels among others.
    `scores` and `outputs` come from `offbeat score`, `model` is the folder of a model or of one version, `history` a csv
    file with a line per epoch.
    """

    scores: Path
    labels: Path
    data: Path | None
    of_data: ColumnSelection
    model: Path | None = None
    outputs: Path | None = None
    history: Path | None = None

    def inputs(self, comparison: Comparison, written_at: datetime) -> ReportInputs:
        """Reads them all. Raises DataError, naming the file, for what cannot be read or does not fit the comparison."""
        model = None if self.model is None else read_model_facts(self.model)
        data = self._data(model, comparison)
        names = data.feature_names if data is not None else model.feature_names if model is not None else ()
        outputs = ModelOutputs() if self.outputs is None else read_outputs(self.outputs, names)
        if not names and outputs.feature_error is not None:
            names = tuple(f"feature_{index}" for index in range(outputs.feature_error.shape[-1]))
        threshold = read_threshold(self.scores) if model is None else model.threshold.value
        return ReportInputs(
            title=f"Report of {self.scores.name}" if data is None else f"Anomalies of {data.name}",
            facts=self._facts(model, comparison, threshold, written_at),
            comparison=comparison,
            threshold=threshold,
            feature_names=names,
            values=None if data is None else data.values,
            feature_error=outputs.feature_error,
            reconstruction=None if data is None else outputs.reconstruction,
            history=None if self.history is None else read_history(self.history),
        )

    def _data(self, model: ModelFacts | None, comparison: Comparison) -> Dataset | None:
        """None where the lines scored are not lines of the data: sliding windows, for one."""
        of_data = self.of_data
        if model is not None and not of_data.features:
            of_data = msgspec.structs.replace(of_data, features=model.feature_names)
        data = self._among_labels(of_data) if self.data is None else read_dataset(self.data, of_data)
        return data if data is not None and data.n_rows == comparison.labels.size else None

    def _among_labels(self, of_data: ColumnSelection) -> Dataset | None:
        """What lies beside the labels, if anything does."""
        if self.labels.suffix == ".json" or of_data.label_column is None:
            return None
        try:
            return read_dataset(self.labels, of_data)
        except DataError:
            return None

    def _facts(
        self, model: ModelFacts | None, comparison: Comparison, threshold: float | None, written_at: datetime
    ) -> tuple[tuple[str, str], ...]:
        n_lines, n_anomalous = comparison.labels.size, int(comparison.labels.sum())
        known = () if threshold is None else (("threshold", f"{threshold:.6g}"),)
        return (
            *(known if model is None else model.words),
            ("data", f"{self.data or self.labels}: {n_lines:,} {comparison.unit}s, {n_anomalous:,} anomalous"),
            ("scores", str(self.scores)),
            ("labels", str(self.labels)),
            ("written", f"{written_at:%Y-%m-%d %H:%M %Z}".strip()),
        )


def read_threshold(scores: Path) -> float | None:
    """The threshold behind a file of scores: error / (2 · score) where the score, clipped to 1, still tells it.

    None where no score lies between 0 and 1. Raises DataError as `read_scores` does.
    """
    scored = read_scores(scores)
    errors, anomaly_scores = scored.errors.astype(np.float64), np.asarray(scored.anomaly_scores, np.float64)
    tells = (anomaly_scores > 0) & (anomaly_scores < 1)
    if not tells.any():
        return None
    threshold = float(np.median(errors[tells] / (2 * anomaly_scores[tells])))
    if not threshold > 0:
        raise DataError(f"{scores}: errors and scores give a threshold of {threshold}; expected a positive number")
    return threshold
