"""Training of reconstruction autoencoders: architectures, fitting, thresholds, evaluation.

from offbeat.data import read_dataset
from offbeat_training import TrainingConfig
from offbeat_training.fit import fit

fit(read_dataset("metrics.csv"), TrainingConfig(seq_len=60)).save("model.ckpt")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from offbeat_training.config import TrainingConfig

if TYPE_CHECKING:
    from offbeat_training.architectures import Autoencoder, LSTMAutoencoder, VariationalAutoencoder, build_architecture
    from offbeat_training.checkpoint import Checkpoint

__all__ = [
    "Autoencoder",
    "Checkpoint",
    "LSTMAutoencoder",
    "TrainingConfig",
    "VariationalAutoencoder",
    "build_architecture",
]


def __getattr__(name: str) -> Any:
    """What needs torch is imported when it is first asked for: the command line reads this package on every start."""
    if name == "Checkpoint":
        from offbeat_training.checkpoint import Checkpoint

        return Checkpoint
    if name in __all__:
        from offbeat_training import architectures

        return getattr(architectures, name)
    raise AttributeError(f"module 'offbeat_training' has no attribute {name!r}")
