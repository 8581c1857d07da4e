"""Architectures by their kind, so that a checkpoint can name one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from offbeat.errors import ConfigurationError
from offbeat_training.architectures.autoencoder import Autoencoder
from offbeat_training.architectures.base import Architecture
from offbeat_training.architectures.lstm_autoencoder import LSTMAutoencoder
from offbeat_training.architectures.variational_autoencoder import VariationalAutoencoder

ARCHITECTURES: Mapping[str, type[Architecture]] = {
    each.kind: each for each in (LSTMAutoencoder, Autoencoder, VariationalAutoencoder)
}


def build_architecture(kind: str, settings: Mapping[str, Any]) -> Architecture:
    """A new module of that kind, with fresh weights.

    Raises ConfigurationError for an unknown kind, and for settings that do not fit it.
    """
    if kind not in ARCHITECTURES:
        raise ConfigurationError(f"architecture kind is {kind!r}; expected one of {', '.join(sorted(ARCHITECTURES))}")
    try:
        return ARCHITECTURES[kind](**settings)
    except TypeError as error:
        raise ConfigurationError(f"settings of {kind}: {error}") from error
