"""Training of reconstruction autoencoders: architectures, fitting, thresholds, evaluation.

from offbeat.data import read_dataset
from offbeat_training import Detector, TrainingConfig
from offbeat_training.fit import fit

fit(read_dataset("metrics.csv"), TrainingConfig(seq_len=60)).save("model.ckpt")
is_anomaly = Detector(seq_len=60).fit(X).predict(X)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from offbeat_training.config import TrainingConfig

if TYPE_CHECKING:
    from offbeat_training.architectures import Autoencoder, LSTMAutoencoder, VariationalAutoencoder, build_architecture
    from offbeat_training.checkpoint import Checkpoint
    from offbeat_training.detector import Detector

__all__ = [
    "Autoencoder",
    "Checkpoint",
    "Detector",
    "LSTMAutoencoder",
    "TrainingConfig",
    "VariationalAutoencoder",
    "build_architecture",
]


_HOMES = {"Checkpoint": "checkpoint", "Detector": "detector"}


def __getattr__(name: str) -> Any:
    """What needs torch is imported when it is first asked for: the command line reads this package on every start."""
    if name in __all__:
        return getattr(import_module(f"offbeat_training.{_HOMES.get(name, 'architectures')}"), name)
    raise AttributeError(f"module 'offbeat_training' has no attribute {name!r}")
