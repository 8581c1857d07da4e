"""The models of the design, with random weights: what is timed does not depend on what was learned.

python -m benchmarks.models FOLDER          # M1 to M5 as a model repository, for offbeat bench run
python -m benchmarks.models FOLDER M1 M5    # these alone
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from offbeat.bundle import ModelRepository, ModelVersion
from offbeat.result import FloatArray, Threshold
from offbeat_export import export_checkpoint
from offbeat_export.scoring_module import ScoringModule
from offbeat_export.variant_candidate import VariantGraphs, VariantSource
from offbeat_export.variant_weights import quantise_weights, with_weights
from offbeat_training import Autoencoder, Checkpoint, LSTMAutoencoder, TrainingConfig
from offbeat_training.architectures import Architecture
from offbeat_training.preprocessing import Normalisation
from offbeat_training.preset_designs import PRESETS, TABULAR, Preset
from offbeat_training.presets import build_preset
from offbeat_training.record import WindowSpec

ARCHITECTURES: dict[str, tuple[Callable[[], Architecture], int | None]] = {
    "M1": (lambda: LSTMAutoencoder(n_features=1, hidden_size=32, n_layers=1), 50),
    "M2": (lambda: LSTMAutoencoder(n_features=2, hidden_size=32, n_layers=2, bridge="state"), 60),
    "M3": (lambda: LSTMAutoencoder(n_features=1, hidden_size=64, narrow_size=32, error="sum_absolute"), 140),
    "M4": (lambda: LSTMAutoencoder(n_features=25, hidden_size=256, n_layers=2), 100),
    "M5": (lambda: Autoencoder(n_features=30, hidden_sizes=(128, 64), latent_dim=16), None),
}
_N_VALIDATION_WINDOWS = 32
_N_FEATURES, _N_CLASSES = 4, 3


def _preset(name: Preset) -> tuple[Callable[[], Architecture], int | None]:
    """A preset at its default size, of four features and, for a series, the default window."""
    config = TrainingConfig(preset=name)
    length = None if name in TABULAR else config.seq_len
    n_classes = _N_CLASSES if name == "repeat-classifier" else 0
    return lambda: build_preset(config, _N_FEATURES, n_classes, length or 0), length


PRESET_MODELS = {f"preset {name}": _preset(name) for name in PRESETS}
MODELS = {**ARCHITECTURES, **PRESET_MODELS}


def random_windows(model: str, n_windows: int, seed: int) -> FloatArray:
    """Standard normal windows of the model's shape, [batch, time, feature] or [batch, feature]."""
    make, length = MODELS[model]
    n_features = make().n_features
    shape = (n_windows, n_features) if length is None else (n_windows, length, n_features)
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def export_model(model: str, repository: Path) -> ModelVersion:
    """Builds the model with seeded random weights and exports it, as a trained one would be."""
    name = model.replace(" ", "-")
    export_checkpoint(design_checkpoint(model), repository, name=name)
    return ModelRepository(repository).open(name)


def design_checkpoint(model: str) -> Checkpoint:
    """The model with its seeded random weights."""
    torch.manual_seed(0)
    make, length = MODELS[model]
    return random_checkpoint(make().eval(), length)


def write_integer_graph(model: str, version: ModelVersion) -> None:
    """Writes `<version>-int8.onnx` beside the version's folder: the layers in integers that the export finds worth it, else all.

    Nothing is written where no layer can be.
    """
    module = ScoringModule.of_checkpoint(design_checkpoint(model))
    weights = quantise_weights(module, version.manifest, "int8")
    rounded = with_weights(module, weights)
    source = VariantSource(module=rounded, manifest=version.manifest, weights=weights, precision="int8")
    graphs = VariantGraphs(source)
    best = graphs.candidates(None)[-1]
    content = graphs.all_integers() if best.arithmetic == "float32" else best.content
    if content is not None:
        (version.path.parent / f"{version.path.name}-int8.onnx").write_bytes(content)


def random_checkpoint(module: Architecture, length: int | None) -> Checkpoint:
    """A checkpoint of a module as it stands, for standard normal windows of `length` steps, or rows where that is None."""
    shape = (_N_VALIDATION_WINDOWS, *(() if length is None else (length,)), module.n_features)
    windows = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
    return Checkpoint(
        architecture_kind=module.kind,
        architecture_settings=module.settings(),
        state_dict=module.state_dict(),
        feature_names=tuple(f"feature_{index}" for index in range(module.n_features)),
        normalisation=Normalisation(mean=torch.zeros(module.n_features), scale=torch.ones(module.n_features)),
        window=None if length is None else WindowSpec(length=length, stride=1),
        threshold=Threshold(value=1.0, method="fixed"),
        training=_provenance(),
        metrics={},
        validation_windows=torch.from_numpy(windows),
    )


def _provenance() -> dict[str, object]:
    return {
        "source": {"name": "random weights", "sha256": None, "n_rows": 0},
        "n_training_windows": 0,
        "n_validation_windows": _N_VALIDATION_WINDOWS,
        "n_epochs": 0,
        "best_epoch": 0,
        "best_validation_loss": 1.0,
        "seed": 0,
        "trained_at": "2026-01-01T00:00:00+00:00",
        "torch_version": str(torch.__version__),
        "offbeat_version": "benchmark",
    }


def main() -> None:
    """Exports the models of the design, or those named."""
    folder, *models = sys.argv[1:] or ["-"]
    if folder.startswith("-") or not set(models) <= set(MODELS):
        sys.exit(__doc__)
    for model in models or ARCHITECTURES:
        print(export_model(model, Path(folder)).path, flush=True)


if __name__ == "__main__":
    main()
