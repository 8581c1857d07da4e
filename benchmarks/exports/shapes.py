"""What is exported: every preset in three sizes, and odd shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import torch

from offbeat_training import Autoencoder, LSTMAutoencoder
from offbeat_training.architectures import Architecture
from offbeat_training.config import TrainingConfig
from offbeat_training.preset_designs import PRESETS, Preset
from offbeat_training.presets import build_preset

N_CLASSES = 3


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A module with seeded random weights, and the steps of its windows; None for rows."""

    name: str
    make: Callable[[], Architecture]
    length: int | None


@dataclass(frozen=True, kw_only=True)
class _Size:
    n_features: int
    length: int
    hidden_size: int | None
    num_layers: int | None


_SIZES: Mapping[str, _Size] = {
    "small": _Size(n_features=1, length=12, hidden_size=8, num_layers=None),
    "default": _Size(n_features=5, length=50, hidden_size=None, num_layers=None),
    "large": _Size(n_features=25, length=100, hidden_size=256, num_layers=2),
}


def preset_shapes() -> Iterator[Shape]:
    """Every preset that is one model, in each size."""
    for preset in get_args(Preset):
        if preset in PRESETS:
            for label, size in _SIZES.items():
                yield _preset(preset, label, size)


def _preset(preset: Preset, label: str, size: _Size) -> Shape:
    wanted: dict[str, Any] = {"hidden_size": size.hidden_size, "num_layers": size.num_layers}
    given = {field: value for field, value in wanted.items() if field in PRESETS[preset].fields}
    config = TrainingConfig(preset=preset, **given)

    def make() -> Architecture:
        torch.manual_seed(0)
        return build_preset(config, size.n_features, N_CLASSES, size.length).eval()

    return Shape(name=f"{preset}, {label}", make=make, length=size.length if make().has_time else None)


def odd_shapes() -> Iterator[Shape]:
    """Shapes at the ends of what a model can be."""
    lstm: Mapping[str, tuple[int, dict[str, Any]]] = {
        "1 feature, 1 step": (1, {"n_features": 1, "hidden_size": 16}),
        "166 features": (50, {"n_features": 166, "hidden_size": 64}),
        "4,096 steps": (4096, {"n_features": 1, "hidden_size": 32}),
        "hidden 1": (30, {"n_features": 2, "hidden_size": 1}),
        "hidden 513": (40, {"n_features": 3, "hidden_size": 513}),
        "five layers": (30, {"n_features": 4, "hidden_size": 32, "n_layers": 5}),
        "five layers, state": (30, {"n_features": 4, "hidden_size": 32, "n_layers": 5, "bridge": "state"}),
        "bidirectional, bottleneck": (
            30,
            {"n_features": 4, "hidden_size": 24, "bidirectional": True, "latent_dim": 7, "bridge": "repeat_state"},
        ),
    }
    for name, (length, settings) in lstm.items():
        yield Shape(name=name, make=_seeded(LSTMAutoencoder, settings), length=length)
    for name, settings in (
        ("rows of 166 features", {"n_features": 166}),
        ("rows of 1 feature, hidden 1", {"n_features": 1, "hidden_sizes": (1,), "latent_dim": 1}),
        ("rows, no hidden layer", {"n_features": 7, "hidden_sizes": (), "latent_dim": 3}),
    ):
        yield Shape(name=name, make=_seeded(Autoencoder, settings), length=None)


def _seeded(kind: type[Architecture], settings: Mapping[str, Any]) -> Callable[[], Architecture]:
    def make() -> Architecture:
        torch.manual_seed(0)
        return kind(**settings).eval()

    return make
