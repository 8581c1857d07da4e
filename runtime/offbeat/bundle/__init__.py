"""The model version folder and the model repository: reading, checking, naming."""

from offbeat.bundle.golden import Golden
from offbeat.bundle.manifest import Manifest, TensorSpec, WindowSpec
from offbeat.bundle.model_version import ModelVersion
from offbeat.bundle.repository import ModelRepository, find_versions, open_version

__all__ = [
    "Golden",
    "Manifest",
    "ModelRepository",
    "ModelVersion",
    "TensorSpec",
    "WindowSpec",
    "find_versions",
    "open_version",
]
