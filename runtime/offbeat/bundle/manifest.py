"""`manifest.json`: what a model version folder says of itself. docs/format.md is its specification."""

from __future__ import annotations

import json
import math
import re
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from offbeat.bundle.graph_record import GraphCandidate, GraphRecord
from offbeat.bundle.parity_record import MAX_PARITY_BOUND, FormatParity, OutputParity, Parity
from offbeat.bundle.precision_record import PrecisionRecord
from offbeat.bundle.record import Record, Size
from offbeat.bundle.tensor_spec import Axis, TensorSpec, WindowSpec, check_tensors, window_shape
from offbeat.errors import BundleError, ConfigurationError, require
from offbeat.provenance import Count, DataSource, Digest, TrainingRecord
from offbeat.result import Threshold
from offbeat.telling import in_one_line

# A manifest's parts stand in files of their own; whoever needs one imports it from here.
__all__ = [
    "MAX_MANIFEST_BYTES",
    "MAX_PARITY_BOUND",
    "NAME_PATTERN",
    "SCHEMA_VERSION",
    "Architecture",
    "Axis",
    "FileRecord",
    "FormatParity",
    "GraphCandidate",
    "GraphRecord",
    "Manifest",
    "Normalisation",
    "OutputParity",
    "Parity",
    "PrecisionRecord",
    "Recalibration",
    "TensorSpec",
    "WindowSpec",
]

SCHEMA_VERSION = 1
# Versions travel as int64.
MAX_VERSION = 2**63 - 1
MAX_MANIFEST_BYTES = 4 * 2**20
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"

# The smallest normal float32: the graph divides by the scale.
_SMALLEST_SCALE = 2.0**-126


class Normalisation(Record, frozen=True, kw_only=True):
    """What the graph does to raw values first: (value − mean) / scale, for each feature."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]


class Architecture(Record, frozen=True, kw_only=True):
    """The trained module: its kind, its settings, its size."""

    kind: str
    settings: dict[str, bool | int | float | str | list[int]]
    n_parameters: Count


class FileRecord(Record, frozen=True, kw_only=True):
    """Size and digest of one file of the folder."""

    n_bytes: Count
    sha256: Digest


class Recalibration(Record, frozen=True, kw_only=True):
    """Where the threshold of this version comes from, whose weights are those of version `from_version`.

    `source` is the data whose errors it was taken from; None for a fixed one. `recalibrated_at` is ISO 8601.
    """

    from_version: Size
    source: DataSource | None
    recalibrated_at: str
    offbeat_version: str


class Manifest(Record, frozen=True, kw_only=True):
    """The description of one model version.

    `from_json` raises BundleError, naming the field and what was expected, for anything that is not exactly this.
    """

    schema_version: Literal[1]
    name: Annotated[str, Meta(pattern=f"^{NAME_PATTERN}$")]
    version: Annotated[int, Meta(ge=1, le=MAX_VERSION)]
    description: str
    licence: str = ""
    architecture: Architecture
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    feature_names: tuple[str, ...]
    window: WindowSpec | None
    normalisation: Normalisation
    threshold: Threshold
    training: TrainingRecord
    recalibration: Recalibration | None = None
    metrics: dict[str, float]
    opset: Annotated[int, Meta(ge=1, le=1000)]
    graph: GraphRecord | None = None
    precision: PrecisionRecord | None = None
    parity: Parity
    files: dict[str, FileRecord]

    def __post_init__(self) -> None:
        names = list(self.feature_names)
        is_distinct = 0 < len(names) == len(set(names))
        require(is_distinct, "feature_names", names, "at least one name, each once")
        for field in ("mean", "scale"):
            _check_feature_values(f"normalisation.{field}", getattr(self.normalisation, field), len(names))
        scale = self.normalisation.scale
        is_positive = all(value >= _SMALLEST_SCALE for value in scale)
        require(is_positive, "normalisation.scale", scale, "positive, normal float32 numbers")
        value = self.threshold.value
        # Whoever reads the threshold here and whoever runs the graph decide alike, to the last bit.
        require(_is_float32(value), "threshold.value", value, "exactly the graph's number, a float32")
        check_tensors(self.inputs, self.outputs, self.window_shape)
        self._check_class_names()
        normal = self.training.normal
        n_quantiles = len(names) if normal is None else len(normal.features)
        require(
            n_quantiles == len(names), "training.normal.features", n_quantiles, f"{len(names)}, one for each feature"
        )
        for name in self.files:
            is_plain = re.fullmatch(NAME_PATTERN, name) is not None and name != "manifest.json"
            require(is_plain, "files", name, "a plain file name other than manifest.json")

    def _check_class_names(self) -> None:
        """Where the data had words for the classes, there is one for each probability."""
        names = self.training.class_names
        n_classes = next((output.shape[1] for output in self.outputs if output.name == "class_probability"), 0)
        is_each = not names or len(names) == len(set(names)) == n_classes
        require(
            is_each, "training.class_names", list(names), f"{n_classes} different names, one for each class, or none"
        )

    @property
    def window_shape(self) -> tuple[Axis, ...]:
        """The shape of the input: (batch, time, feature), or (batch, feature) for a tabular model."""
        return window_shape(self.window, len(self.feature_names))

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs the graph can give."""
        return tuple(output.name for output in self.outputs)

    @classmethod
    def from_json(cls, data: bytes, where: str) -> Manifest:
        """Reads and validates; `where` names the file in the error. Raises BundleError."""
        try:
            json.loads(data, object_pairs_hook=_refuse_twice)
            return msgspec.json.decode(data, type=cls)
        except (msgspec.DecodeError, ValueError, ConfigurationError, RecursionError) as error:
            raise BundleError(f"{where}: {in_one_line(str(error))}") from error

    def to_json(self) -> bytes:
        """The file's content: indented, keys in the order of the fields."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def _check_feature_values(field: str, values: tuple[float, ...], n_features: int) -> None:
    require(len(values) == n_features, field, f"{len(values)} values", f"{n_features}, one for each feature")
    require(all(math.isfinite(value) for value in values), field, values, "finite numbers")
    require(all(map(_is_float32, values)), field, values, "exactly the graph's numbers, float32")


def _is_float32(value: float) -> bool:
    with np.errstate(over="ignore"):
        return float(np.float32(value)) == value


def _refuse_twice(pairs: list[tuple[str, Any]]) -> None:
    """Of a key that is there twice, one reader takes the first value and another the last."""
    seen: set[str] = set()
    for key, _ in pairs:
        require(key not in seen, "key", key, "each key once in its object")
        seen.add(key)
