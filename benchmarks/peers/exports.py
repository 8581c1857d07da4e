"""The exported models that the engines read, kept where a folder is given."""

from __future__ import annotations

from pathlib import Path

import torch

from benchmarks.models import ARCHITECTURES, export_model, random_checkpoint
from offbeat.bundle import ModelRepository, ModelVersion
from offbeat_export import export_variants

INT8 = "-int8"


def opened(model: str, repository: Path) -> dict[str, ModelVersion]:
    """The float32 version and the int8 variant by name; exported first where the repository lacks them.

    Of a variant that was refused, being neither smaller nor faster, there is none.
    """
    if not (repository / model).is_dir():
        export_model(model, repository)
        _export_int8(model, repository)
    models = ModelRepository(repository)
    return {name: models.open(name) for name in (model, model + INT8) if (repository / name).is_dir()}


def _export_int8(model: str, repository: Path) -> None:
    # The same weights: the source of a variant is compared with its checkpoint.
    torch.manual_seed(0)
    make, length = ARCHITECTURES[model]
    export_variants(random_checkpoint(make().eval(), length), ModelRepository(repository).open(model), ("int8",))
