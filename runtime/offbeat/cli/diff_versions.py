"""What changed from one version of a model to another."""

from __future__ import annotations

from typing import Any

import msgspec

from offbeat.bundle import Manifest, ModelVersion
from offbeat.cli.diff_scores import ScoreDifference
from offbeat.cli.diff_weights import WeightDifference, diff_weights

# Keys of the manifest that say where a version comes from and how it is stored: they change no score, and do not count.
PROVENANCE = frozenset(
    {
        "schema_version",
        "name",
        "version",
        "description",
        "licence",
        "training",
        "recalibration",
        "opset",
        "graph",
        "parity",
        "files",
    }
)


class FieldDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A field of the manifest, by its dotted path, with both values; None where it is not there."""

    field: str
    a: Any
    b: Any


class VersionDifference(msgspec.Struct, frozen=True, kw_only=True):
    """Two versions, by their folders: `fields` and `provenance` that differ, their weights, and their scores where data were given.

    `is_equal` is whether fields, weights and scores are.
    """

    is_equal: bool
    a: str
    b: str
    fields: tuple[FieldDifference, ...]
    provenance: tuple[FieldDifference, ...]
    weights: WeightDifference
    scores: ScoreDifference | None


def diff_versions(a: ModelVersion, b: ModelVersion, scores: ScoreDifference | None) -> VersionDifference:
    """Compares manifests and weights; `scores` were compared before, or not. Raises BundleError."""
    fields = _diff_manifests(a.manifest, b.manifest)
    counted = tuple(each for each in fields if each.field.split(".")[0] not in PROVENANCE)
    weights = diff_weights(a, b)
    return VersionDifference(
        is_equal=not counted and weights.is_equal and (scores is None or scores.is_equal),
        a=str(a.path),
        b=str(b.path),
        fields=counted,
        provenance=tuple(each for each in fields if each not in counted),
        weights=weights,
        scores=scores,
    )


def _diff_manifests(a: Manifest, b: Manifest) -> list[FieldDifference]:
    values_a, values_b = _leaves(msgspec.to_builtins(a)), _leaves(msgspec.to_builtins(b))
    fields = [*values_a, *(field for field in values_b if field not in values_a)]
    pairs = {field: (values_a.get(field), values_b.get(field)) for field in fields}
    return [FieldDifference(field=field, a=a, b=b) for field, (a, b) in pairs.items() if a != b]


def _leaves(value: Any, prefix: str = "") -> dict[str, Any]:
    """Every value that is no object, by its dotted path; tensors by their names."""
    if prefix in ("inputs", "outputs"):
        value = {tensor["name"]: f"{tensor['dtype']} {tensor['shape']}" for tensor in value}
    if not isinstance(value, dict):
        return {prefix: value}
    below = ((f"{prefix}.{key}" if prefix else key, each) for key, each in value.items())
    return {path: leaf for key, each in below for path, leaf in _leaves(each, key).items()}
