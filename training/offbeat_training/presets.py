"""Presets: what a name on the command line stands for."""

from __future__ import annotations

import warnings

from offbeat_training.architectures import Architecture, LSTMAutoencoder, build_architecture
from offbeat_training.config import TrainingConfig
from offbeat_training.preset_designs import DENSE, PRESETS
from offbeat_training.record import WindowSpec

# Fields of the configuration that an architecture knows by another name.
_RENAMED = {"num_layers": "n_layers", "num_decoder_layers": "n_decoder_layers"}


def build_preset(config: TrainingConfig, n_features: int, n_classes: int = 0, n_steps: int = 0) -> Architecture:
    """A new module as `PRESETS` says, with the configuration's own values where it gives them.

    Dense blocks are `hidden_size` wide and each further one half of that. The widest layers of `stacked` are twice
    `hidden_size`, its latent vector's size. `n_classes` are those of `repeat-classifier`, `n_steps` the window's for `denoising`.
    """
    design = PRESETS[config.preset]
    given = {_RENAMED.get(field, field): getattr(config, field) for field in design.fields}
    settings = {**design.settings, **{name: value for name, value in given.items() if value is not None}}
    if config.preset in DENSE:
        settings["hidden_sizes"] = _halving(settings.pop("hidden_size"), settings.pop("n_layers"))
    if config.preset == "denoising":
        settings |= {"n_steps": n_steps, "linear_dim": min(settings["linear_dim"], max(n_steps, 1) * n_features)}
    elif config.preset == "stacked":
        settings |= {"narrow_size": settings["hidden_size"], "hidden_size": 2 * settings["hidden_size"]}
    elif config.preset == "repeat-classifier":
        settings["n_classes"] = n_classes
    return build_architecture(design.kind, {"n_features": n_features, **settings})


def warn_of_other_steps(model: Architecture, window: WindowSpec | None) -> None:
    """Warns where a fixed number of decoded steps is not the window's: the error is taken over the shorter's steps."""
    if isinstance(model, LSTMAutoencoder) and window is not None and model.n_repeats not in (0, window.length):
        warnings.warn(
            f"n_repeats is {model.n_repeats} and a window has {window.length} steps: "
            f"the error is over the first {min(model.n_repeats, window.length)}",
            stacklevel=3,
        )


def _halving(first: int, n_layers: int) -> list[int]:
    return [max(1, first >> layer) for layer in range(n_layers)]
