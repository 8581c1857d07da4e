"""Everything the next epoch of a run depends on, and the file that keeps it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from offbeat.data import Dataset
from offbeat.errors import CheckpointError
from offbeat.provenance import Digest
from offbeat_training import checkpoint_file
from offbeat_training.config import TrainingConfig
from offbeat_training.history import Epoch
from offbeat_training.split import Indices
from offbeat_training.tensor_checks import check_tensor, check_tensors, expect, kind_of

FORMAT: Final = "offbeat.resume"
SCHEMA_VERSION: Final = 1
# They decide how long a run lasts, not what an epoch of it does.
MAY_CHANGE = frozenset({"epochs", "patience"})
_TENSOR_KEYS = ("weights", "best_weights", "optimiser", "random_state", "order_state")
_OPTIMISER_TENSORS = {
    "adam": {"step", "exp_avg", "exp_avg_sq"},
    "adamw": {"step", "exp_avg", "exp_avg_sq"},
    "sgd": set(),
}

Plain = bool | int | float | str | None


class RunIdentity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What makes two runs the same one: the values learnt from, and every setting that an epoch depends on."""

    data_sha256: Digest
    settings: dict[str, Plain]

    @classmethod
    def of(cls, dataset: Dataset, classes: Indices | None, config: TrainingConfig) -> RunIdentity:
        """Of the values in memory, so that a file with other columns chosen is another data set."""
        digest = hashlib.sha256(repr((dataset.values.shape, dataset.feature_names)).encode())
        for array in (dataset.values, dataset.labels, classes):
            digest.update(b"-" if array is None else np.ascontiguousarray(array).data)
        settings = msgspec.to_builtins(config)
        return cls(
            data_sha256=digest.hexdigest(),
            settings={name: value for name, value in settings.items() if name not in MAY_CHANGE},
        )

    def check_same(self, now: RunIdentity) -> None:
        """Raises CheckpointError, naming the first setting that has changed since, or the data."""
        for name in sorted(self.settings.keys() | now.settings.keys()):
            then, given = self.settings.get(name), now.settings.get(name)
            expect(then == given, name, given, f"{then!r}, as when the run began")
        if self.data_sha256 != now.data_sha256:
            raise CheckpointError("the data are not those that the run began with; expected the same values and labels")


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The plain fields of the file."""

    format: Literal["offbeat.resume"]
    schema_version: Literal[1]
    identity: RunIdentity
    history: tuple[Epoch, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class ResumeState:
    """A run after an epoch has ended: weights, those of the best epoch, optimiser, random numbers, history.

    `optimiser` holds the tensors of each parameter, in the optimiser's order. `random_state` (dropout) and `order_state`
    (the order of the windows) are states of PyTorch's generators on the CPU, int64 [byte]. Raises CheckpointError for a
    history with gaps or without a finite loss.
    """

    identity: RunIdentity
    history: tuple[Epoch, ...]
    weights: Mapping[str, Tensor]
    best_weights: Mapping[str, Tensor]
    optimiser: list[dict[str, Tensor]]
    random_state: Tensor
    order_state: Tensor

    def __post_init__(self) -> None:
        epochs = [each.epoch for each in self.history]
        expect(epochs == list(range(1, len(epochs) + 1)) != [], "history", epochs[:5], "the epochs 1, 2, 3, …")
        for each in self.history:
            losses = (each.training_loss, each.validation_loss)
            expect(all(map(math.isfinite, losses)), f"the losses of epoch {each.epoch}", losses, "finite numbers")

    def save(self, path: Path) -> None:
        """Writes the file, whole or not at all. Raises CheckpointError where it cannot be written."""
        record = _Record(format=FORMAT, schema_version=SCHEMA_VERSION, identity=self.identity, history=self.history)
        checkpoint_file.write(path, msgspec.to_builtins(record) | {key: getattr(self, key) for key in _TENSOR_KEYS})

    @classmethod
    def load(cls, path: Path) -> ResumeState:
        """Reads a file, running nothing from it. Raises CheckpointError, naming the file and the fact."""
        content = checkpoint_file.read(path)
        plain = {key: value for key, value in content.items() if key not in _TENSOR_KEYS}
        try:
            expect(set(_TENSOR_KEYS) <= set(content), "keys", sorted(map(str, content)), f"{_TENSOR_KEYS} among them")
            record = msgspec.convert(plain, _Record)
            return cls(identity=record.identity, history=record.history, **{key: content[key] for key in _TENSOR_KEYS})
        except (msgspec.ValidationError, CheckpointError) as error:
            raise CheckpointError(f"{path}: {error}") from error

    def check_fits(self, model: nn.Module, optim: str) -> None:
        """Raises CheckpointError unless every tensor has the shape and type that this model and optimiser need."""
        for field in ("weights", "best_weights"):
            check_tensors(field, getattr(self, field), model.state_dict())
        parameters = dict(model.named_parameters())
        is_list = isinstance(self.optimiser, list) and len(self.optimiser) == len(parameters)
        expect(is_list, "optimiser", kind_of(self.optimiser), f"a list of {len(parameters)} dicts of tensors")
        for state, (name, parameter) in zip(self.optimiser, parameters.items(), strict=True):
            _check_optimiser_state(f"optimiser.{name}", state, parameter, _OPTIMISER_TENSORS[optim])
        for field in ("random_state", "order_state"):
            _check_generator_state(field, getattr(self, field))


def _check_optimiser_state(field: str, state: object, parameter: Tensor, names: set[str]) -> None:
    # A parameter that has had no gradient yet has no state either.
    shapes: dict[str, Any] = {name: torch.empty(() if name == "step" else parameter.shape) for name in names}
    check_tensors(field, state, {} if state == {} else shapes)


def _check_generator_state(field: str, state: object) -> None:
    check_tensor(field, state, tuple(torch.get_rng_state().shape), torch.int64)
    try:
        torch.Generator().set_state(state.to(torch.uint8))  # type: ignore[attr-defined]
    except RuntimeError as error:
        raise CheckpointError(f"{field} is no state of a generator: {str(error).splitlines()[0]}") from error
