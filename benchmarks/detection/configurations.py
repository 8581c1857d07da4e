"""One fixed configuration for each set, and why it is that one; no test label had a part in any of them."""

from __future__ import annotations

from collections.abc import Mapping

from offbeat_training import TrainingConfig
from tests.training.acceptance import ECG5000

Configurations = Mapping[str, TrainingConfig]

CONFIGURATIONS: Configurations = {
    # Chosen on the training part: tests/training/acceptance.py says how.
    "ecg5000": ECG5000,
    # TSB-AD's own window for its autoencoder, 100 rows, for every series; the rest bounds the time, and was not searched.
    "nab": TrainingConfig(
        seq_len=100,
        stride=2,
        hidden_size=32,
        lr=2e-3,
        batch_size=32,
        grad_clip=1.0,
        epochs=40,
        patience=8,
        device="cpu",
    ),
    # Half an hour of minutes, sized for the time it takes, and not searched.
    "smd": TrainingConfig(
        seq_len=30, stride=8, hidden_size=64, lr=2e-3, batch_size=64, grad_clip=1.0, epochs=15, patience=3, device="cpu"
    ),
    # Half a minute of seconds, so that the 400 rows hold a dozen windows end to end; not searched.
    "skab": TrainingConfig(
        seq_len=30, hidden_size=32, lr=3e-3, batch_size=32, grad_clip=1.0, epochs=40, patience=10, device="cpu"
    ),
    # The preset as published, larger batches and fewer epochs; not searched.
    "adbench": TrainingConfig(preset="tabular", batch_size=256, epochs=100, patience=10, device="cpu"),
}
# PCA and the isolation forest see the windows that `fixed` sees, whether that is measured or not.
BASELINE_WINDOWS: Mapping[str, int] = {name: config.seq_len for name, config in CONFIGURATIONS.items()}
