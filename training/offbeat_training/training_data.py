"""A data set made ready to learn from: split, standardised, cut into windows."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from offbeat.data import Dataset, sliding_windows
from offbeat.errors import TrainingError
from offbeat.result import FloatArray
from offbeat_training.config import TrainingConfig
from offbeat_training.preprocessing import Normalisation, unresolved
from offbeat_training.preset_designs import DENSE, TABULAR
from offbeat_training.record import WindowSpec
from offbeat_training.split import Indices, anomalous_starts, normal_starts, split_samples, split_series

# What a bounded output activation can reproduce; beyond it every value would be an error.
_BOUNDS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingData:
    """Windows [window, time, feature], or rows [row, feature] of a table, and the two parts of them.

    `windows` are normalised, `raw_windows` are not; both are views wherever windows overlap. `training` and `validation`
    are positions along their first axis, `normal` those of all windows without an anomaly, among them the ones that share
    rows with both parts, and `anomalous` are those of the windows with a label that says so. `classes`
    [window], from 0, are there for a model that learns them.
    """

    windows: FloatArray
    raw_windows: FloatArray
    training: Indices
    validation: Indices
    normal: Indices
    anomalous: Indices
    normalisation: Normalisation
    window: WindowSpec | None
    classes: Indices | None = None

    def raw_validation_windows(self, n_most: int) -> Tensor:
        """Up to `n_most` validation windows, evenly spaced, in raw units."""
        positions = np.linspace(0, self.validation.size - 1, min(n_most, self.validation.size)).round().astype(np.int64)
        return _gather(self.raw_windows, self.validation[positions])


class Batches:
    """Batches of windows [batch, ...], of sizes as equal as they can be, so that none is left with a single row.

    Each pass over it draws a new order from `generator`, or keeps the order where there is none.
    """

    def __init__(
        self,
        windows: FloatArray,
        positions: Indices,
        max_size: int,
        generator: torch.Generator | None = None,
    ) -> None:
        self.windows = windows
        self.positions = positions
        self.generator = generator
        self.n_batches = -(-positions.size // max_size)

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[Tensor]:
        for positions in self.orders():
            yield _gather(self.windows, positions)

    def orders(self) -> Iterator[Indices]:
        """The positions of each batch, in this pass's order."""
        order = self.positions
        if self.generator is not None:
            order = order[torch.randperm(order.size, generator=self.generator).numpy()]
        yield from np.array_split(order, self.n_batches)


class ClassifiedBatches:
    """The batches of `batches`, each with the classes of its windows: pairs of [batch, time, feature] and [batch]."""

    def __init__(self, batches: Batches, classes: Indices) -> None:
        self.batches = batches
        self.classes = classes

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for positions in self.batches.orders():
            yield _gather(self.batches.windows, positions), torch.from_numpy(self.classes[positions])


def prepare(dataset: Dataset, config: TrainingConfig) -> TrainingData:
    """Splits the data set, fits the normalisation on the training part alone, and applies it to all of it.

    With `config.refit` the normalisation is that of all normal windows, from which the model learns in the end.

    Rows of a series become windows of `config.seq_len`; the presets for tables take rows as they are. Warns of features
    whose spread float32 does not resolve beside their size. Raises TrainingError where the data do not fit the preset or are too few.
    """
    if dataset.values.ndim == 3 and config.preset in TABULAR:
        raise TrainingError(
            f"{dataset.name} holds windows {dataset.values.shape}; preset {config.preset} expects rows [row, feature]"
        )
    is_samples = dataset.values.ndim == 3 or config.preset in TABULAR
    data = _prepare_samples(dataset, config) if is_samples else _prepare_series(dataset, config)
    if config.preset in DENSE and data.training.size < 2:
        raise TrainingError(
            f"{dataset.name} gives one window to learn from; preset {config.preset} expects at least two, beside those held "
            "out: use more rows, a smaller seq_len or a smaller stride"
        )
    return data


def _prepare_series(dataset: Dataset, config: TrainingConfig) -> TrainingData:
    length, stride = config.seq_len, config.stride
    training, validation = split_series(dataset.n_rows, length, stride, config.validation_fraction, dataset.labels)
    normal = normal_starts(dataset.n_rows, length, stride, dataset.labels)
    # Each row counts once, however many windows cover it.
    is_training_row = np.zeros(dataset.n_rows, dtype=np.bool_)
    for start in normal if config.refit else training:
        is_training_row[start : start + length] = True
    normalisation = _normalisation(dataset.values[is_training_row], config, dataset.feature_names)
    normalised = normalisation.apply(torch.tensor(dataset.values)).numpy()
    return TrainingData(
        windows=sliding_windows(normalised, length),
        raw_windows=sliding_windows(dataset.values, length),
        training=training,
        validation=validation,
        normal=normal,
        anomalous=anomalous_starts(dataset.n_rows, length, stride, dataset.labels),
        normalisation=normalisation,
        window=WindowSpec(length=length, stride=stride),
    )


def _prepare_samples(dataset: Dataset, config: TrainingConfig) -> TrainingData:
    training, validation = split_samples(dataset.n_rows, config.validation_fraction, config.seed, dataset.labels)
    normal = np.union1d(training, validation)
    learnt = normal if config.refit else training
    normalisation = _normalisation(dataset.values[learnt], config, dataset.feature_names)
    length = dataset.values.shape[1] if dataset.values.ndim == 3 else None
    return TrainingData(
        windows=normalisation.apply(torch.tensor(dataset.values)).numpy(),
        raw_windows=dataset.values,
        training=training,
        validation=validation,
        normal=normal,
        anomalous=np.empty(0, np.int64) if dataset.labels is None else np.flatnonzero(dataset.labels),
        normalisation=normalisation,
        window=None if length is None else WindowSpec(length=length, stride=length),
    )


def _normalisation(values: FloatArray, config: TrainingConfig, names: tuple[str, ...]) -> Normalisation:
    """Mean 0 and deviation 1, or the range of the output activation where that is bounded."""
    for index in np.flatnonzero(unresolved(values)):
        column = values[..., index]
        warnings.warn(
            f"column {names[index]!r} varies by {column.std(dtype=np.float64):.3g} around values as large as "
            f"{np.abs(column).max():.3g}, where float32 steps by {np.spacing(np.abs(column).max()):.3g}: "
            "subtract an offset from it first",
            stacklevel=5,
        )
    bounds = _BOUNDS.get(config.chosen_output_activation)
    return Normalisation.fit(values) if bounds is None else Normalisation.fit_range(values, *bounds)


def _gather(windows: FloatArray, positions: Indices) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(windows[positions]))
