"""`manifest.json`: what a model version folder says of itself. docs/format.md is its specification."""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from offbeat.errors import BundleError, ConfigurationError, require
from offbeat.provenance import Count, Digest, TrainingRecord
from offbeat.result import OUTPUT_NAMES, Threshold

SCHEMA_VERSION = 1
# Versions travel as int64.
MAX_VERSION = 2**63 - 1
MAX_MANIFEST_BYTES = 4 * 2**20
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
# The largest |Δerror| / max(1, error) that a manifest may claim as its bound; float32 models use 1e-5.
MAX_PARITY_BOUND = 0.1

# The smallest normal float32: the graph divides by the scale.
_SMALLEST_SCALE = 2.0**-126

Size = Annotated[int, Meta(ge=1)]
Axis = int | Literal["batch", "time"]


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen, keyword-only, and unknown keys are errors."""


class TensorSpec(_Record, frozen=True):
    """One input or output. An axis is a size, or `batch` or `time` where any size fits."""

    name: str
    dtype: Literal["float32", "bool"]
    shape: tuple[Axis, ...]


class WindowSpec(_Record, frozen=True):
    """The windows of a series model: steps as trained, the stride used, whether other lengths are scored, and the shortest."""

    length: Size
    stride: Size
    is_time_dynamic: bool
    min_length: Size = 1


class Normalisation(_Record, frozen=True):
    """What the graph does to raw values first: (value − mean) / scale, for each feature."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]


class Architecture(_Record, frozen=True):
    """The trained module: its kind, its settings, its size."""

    kind: str
    settings: dict[str, bool | int | float | str | list[int]]
    n_parameters: Count


class OutputParity(_Record, frozen=True):
    """The largest difference from eager float32 seen for one output of one format."""

    max_absolute: float
    max_relative: float


class FormatParity(_Record, frozen=True):
    """One exported format against the eager model, over `n_windows` windows of `n_cases` cases."""

    n_cases: Count
    n_windows: Count
    decision_flips: Count
    worst_case: str
    outputs: dict[str, OutputParity]

    def __post_init__(self) -> None:
        expected = "reconstruction_error"
        require(expected in self.outputs, "parity outputs", sorted(self.outputs), f"{expected} among them")


class Parity(_Record, frozen=True):
    """Parity measured at export: |Δerror| ≤ bound · max(1, error) held for every format named."""

    bound: Annotated[float, Meta(gt=0, le=MAX_PARITY_BOUND)]
    formats: dict[str, FormatParity]


class FileRecord(_Record, frozen=True):
    """Size and digest of one file of the folder."""

    n_bytes: Count
    sha256: Digest


class Manifest(_Record, frozen=True):
    """The description of one model version.

    `from_json` raises BundleError, naming the field and what was expected, for anything that is not exactly this.
    """

    schema_version: Literal[1]
    name: Annotated[str, Meta(pattern=f"^{NAME_PATTERN}$")]
    version: Annotated[int, Meta(ge=1, le=MAX_VERSION)]
    description: str
    architecture: Architecture
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    feature_names: tuple[str, ...]
    window: WindowSpec | None
    normalisation: Normalisation
    threshold: Threshold
    training: TrainingRecord
    metrics: dict[str, float]
    opset: Annotated[int, Meta(ge=1, le=1000)]
    parity: Parity
    files: dict[str, FileRecord]

    def __post_init__(self) -> None:
        n_features = len(self.feature_names)
        require(
            n_features > 0 and len(set(self.feature_names)) == n_features,
            "feature_names",
            list(self.feature_names),
            "at least one name, each once",
        )
        self._check_normalisation(n_features)
        self._check_tensors(n_features)
        for name in self.files:
            require(
                re.fullmatch(NAME_PATTERN, name) is not None and name != "manifest.json",
                "files",
                name,
                "a plain file name other than manifest.json",
            )

    def _check_normalisation(self, n_features: int) -> None:
        for field in ("mean", "scale"):
            values = getattr(self.normalisation, field)
            require(
                len(values) == n_features,
                f"normalisation.{field}",
                f"{len(values)} values",
                f"{n_features}, one for each feature",
            )
            require(all(math.isfinite(value) for value in values), f"normalisation.{field}", values, "finite numbers")
        require(
            all(value >= _SMALLEST_SCALE for value in self.normalisation.scale),
            "normalisation.scale",
            self.normalisation.scale,
            "positive, normal float32 numbers",
        )

    def _check_tensors(self, n_features: int) -> None:
        window_shape = self.window_shape
        require(
            self.inputs == (TensorSpec(name="window", dtype="float32", shape=window_shape),),
            "inputs",
            self.inputs,
            f"one float32 tensor 'window' of shape {list(window_shape)}",
        )
        steps = self._reconstructed_steps()
        shapes: dict[str, tuple[Axis, ...]] = {
            "reconstruction": ("batch", *steps, n_features),
            "feature_error": ("batch", n_features),
            "forecast": window_shape,
        }
        if steps:
            shapes["step_error"] = ("batch", *steps)
        seen: set[str] = set()
        for output in self.outputs:
            require(
                output.name in OUTPUT_NAMES and output.name not in seen,
                "outputs",
                output.name,
                f"each of {', '.join(OUTPUT_NAMES)} at most once",
            )
            seen.add(output.name)
            dtype = "bool" if output.name == "is_anomaly" else "float32"
            require(output.dtype == dtype, f"outputs.{output.name}.dtype", output.dtype, dtype)
            if output.name == "class_probability":
                require(
                    len(output.shape) == 2 and output.shape[0] == "batch" and isinstance(output.shape[1], int),
                    "outputs.class_probability.shape",
                    output.shape,
                    "batch and a number of classes",
                )
                continue
            require(
                output.name not in ("step_error", "forecast") or bool(steps),
                "outputs",
                output.name,
                f"no {output.name} for a model without time",
            )
            shape = shapes.get(output.name, ("batch",))
            require(output.shape == shape, f"outputs.{output.name}.shape", list(output.shape), str(list(shape)))
        for required in ("reconstruction_error", "anomaly_score", "is_anomaly"):
            require(required in seen, "outputs", sorted(seen), f"{required} among them")

    def _reconstructed_steps(self) -> tuple[Axis, ...]:
        """The time axis of `reconstruction` and `step_error`: the window's, or a smaller number where time is fixed."""
        if self.window is None:
            return ()
        axis = self.window_shape[1]
        for output in self.outputs:
            steps = (
                output.shape[1] if output.name in ("reconstruction", "step_error") and len(output.shape) > 1 else axis
            )
            if isinstance(steps, int) and isinstance(axis, int) and 1 <= steps < axis:
                return (steps,)
        return (axis,)

    @property
    def window_shape(self) -> tuple[Axis, ...]:
        """The shape of the input: (batch, time, feature), or (batch, feature) for a tabular model."""
        if self.window is None:
            return ("batch", len(self.feature_names))
        return ("batch", "time" if self.window.is_time_dynamic else self.window.length, len(self.feature_names))

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs the graph can give."""
        return tuple(output.name for output in self.outputs)

    @classmethod
    def from_json(cls, data: bytes, where: str) -> Manifest:
        """Reads and validates; `where` names the file in the error. Raises BundleError."""
        try:
            return msgspec.json.decode(data, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError, ConfigurationError, RecursionError) as error:
            raise BundleError(f"{where}: {error}") from error

    def to_json(self) -> bytes:
        """The file's content: indented, keys in the order of the fields."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"
