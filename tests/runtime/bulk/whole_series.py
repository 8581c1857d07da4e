"""Scores of a whole series at once, straight from their definitions: what scores in a stream must agree with."""

from __future__ import annotations

import msgspec
import numpy as np

from offbeat.bulk import BulkOptions, Scores
from offbeat.bulk.further_columns import columns_of
from offbeat.cli.score_outputs import LineOutputs
from offbeat.data import Dataset, row_means, row_newest, sliding_windows, window_starts
from offbeat.result import P_VALUE, FloatArray
from tests.runtime.bulk.sources import NumpySource


def whole(values: FloatArray, options: BulkOptions, source: NumpySource | None = None) -> Scores:
    """The scores of a series [row, feature], or of ready-made windows [window, time, feature]."""
    source, names = source or NumpySource(), tuple(name for name in options.columns if name != P_VALUE)
    length, n_rows = source.manifest.window.length, len(values)
    is_series = values.ndim == 2
    windows = sliding_windows(values, length) if is_series else values
    starts = window_starts(n_rows, length, options.stride) if is_series else np.arange(n_rows)
    is_by_row = is_series and options.per == "row"
    data = Dataset(name="rows", values=values, feature_names=("pressure", "flow"))
    collected = LineOutputs(data, starts, length if is_by_row else None, names)
    cuts = range(options.batch_size, len(starts), options.batch_size)
    batches = (np.ascontiguousarray(windows[part]) for part in np.split(starts, cuts))
    errors = []
    for result in source.score_all(batches, ("reconstruction_error", *names)):
        errors.append(result.reconstruction_error)
        collected.add(result)
    lines, last = np.concatenate(errors).astype(np.float64), starts + (length - 1 if is_series else 0)
    if is_by_row:
        to_rows = row_means if options.row_score == "mean" else row_newest
        lines, last = to_rows(lines, starts, length, n_rows), np.arange(n_rows)
    words = np.array([f"t{row}" for row in last], dtype=np.str_)
    scores = Scores.of("row" if is_by_row else "window", source.manifest, lines, words)
    further: dict[str, np.ndarray] = {}
    for name in options.columns:
        if name == P_VALUE:
            further[name] = source.manifest.threshold.calibration.p_values(lines)
        else:
            further |= columns_of(name, collected.lines(name), source.manifest)
    alarm = None if options.rule is None else options.rule.alarms(scores.is_anomaly)
    return msgspec.structs.replace(scores, further=further, alarm=alarm)
