"""What each preset is made of: an architecture, its settings, and which fields of the configuration change them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

Preset = Literal[
    "repeat",
    "repeat-sigmoid",
    "repeat-classifier",
    "repeat-forecast",
    "state",
    "stacked",
    "flexible",
    "tabular",
    "variational",
    "denoising",
    "auto",
]
Activation = Literal["linear", "relu", "sigmoid", "tanh"]


class PresetDesign(msgspec.Struct, frozen=True, kw_only=True):
    """`settings` of an architecture `kind`; `fields` are those of TrainingConfig that may change them."""

    kind: str
    settings: Mapping[str, Any]
    fields: frozenset[str]


_LAYERS = frozenset({"hidden_size", "num_layers", "dropout"})
_DENSE = frozenset({"hidden_size", "num_layers", "latent_dim"})
# Dense layers over a window laid out flat.
_DENOISING = _DENSE | {"dropout", "noise", "linear_dim"}
_FLEXIBLE = frozenset(
    {"latent_dim", "num_decoder_layers", "bidirectional", "recurrent_dropout", "latent_activation", "n_repeats"}
)


def _series(fields: frozenset[str] = _LAYERS | {"output_activation"}, **settings: Any) -> PresetDesign:
    return PresetDesign(kind="lstm_autoencoder", settings=settings, fields=fields)


PRESETS: Mapping[Preset, PresetDesign] = {
    "repeat": _series(_LAYERS, hidden_size=64),
    "repeat-sigmoid": _series(output_activation="sigmoid", error="sum_squared"),
    "repeat-classifier": _series(error="sum_squared"),
    "repeat-forecast": _series(forecasts=True, error="sum_squared"),
    "state": _series(_LAYERS, n_layers=2, dropout=0.2, bridge="state"),
    "stacked": _series(frozenset({"hidden_size"}), hidden_size=32, error="sum_absolute"),
    "flexible": _series(_LAYERS | _FLEXIBLE | {"output_activation"}, bridge="repeat_state", output_activation="tanh"),
    "tabular": PresetDesign(
        kind="autoencoder",
        settings={"hidden_size": 128, "n_layers": 2, "latent_dim": 32, "dropout": 0.2},
        fields=_DENSE | {"dropout"},
    ),
    "variational": PresetDesign(
        kind="variational_autoencoder",
        settings={"hidden_size": 128, "n_layers": 2, "latent_dim": 32, "n_draws": 10},
        fields=_DENSE | {"beta", "n_draws"},
    ),
    "denoising": PresetDesign(
        kind="autoencoder",
        settings={
            "hidden_size": 128,
            "n_layers": 2,
            "latent_dim": 16,
            "dropout": 0.0,
            "noise": 1.0,
            "linear_dim": 96,
        },
        fields=_DENOISING,
    ),
}
# Stands for another preset, and for the settings beside it, until the data are seen: offbeat_training.auto.
AUTO: Final = "auto"
# The fields that some preset reads; None, or False, leaves each as the preset has it.
FIELDS = tuple(sorted(frozenset().union(*(design.fields for design in PRESETS.values()))))
TABULAR: frozenset[Preset] = frozenset({"tabular", "variational"})
# Their dense layers are normalised over a batch, which has to have rows to be normalised over.
DENSE = TABULAR | {"denoising"}
