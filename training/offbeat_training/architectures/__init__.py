"""The trained modules: normalised windows in, their reconstruction out."""

from offbeat_training.architectures.autoencoder import Autoencoder
from offbeat_training.architectures.base import Architecture
from offbeat_training.architectures.lstm_autoencoder import LSTMAutoencoder
from offbeat_training.architectures.registry import build_architecture
from offbeat_training.architectures.variational_autoencoder import VariationalAutoencoder

__all__ = ["Architecture", "Autoencoder", "LSTMAutoencoder", "VariationalAutoencoder", "build_architecture"]
