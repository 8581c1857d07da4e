"""What changed in the weights of two versions, tensor by tensor."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.bundle import ModelVersion
from offbeat.bundle.model_version import MODEL_ONNX, MODEL_SAFETENSORS
from offbeat.bundle.safetensors_file import SafetensorsFile
from offbeat.errors import BundleError

Change = Literal["equal", "changed", "only in A", "only in B", "another shape", "another type"]


class TensorDifference(msgspec.Struct, frozen=True, kw_only=True):
    """One tensor: the largest |Δ| and how many of its numbers differ, where both have it in one shape."""

    name: str
    change: Change
    shape: tuple[int, ...]
    max_absolute: float | None = None
    n_changed: int | None = None


class WeightDifference(msgspec.Struct, frozen=True, kw_only=True):
    """Every tensor but normalisation and threshold, which the manifests hold; whether the layer plans are the same.

    Where a version has no `model.safetensors`, there is a `reason` and no tensor; `is_equal` then tells of `model.onnx`.
    """

    is_equal: bool
    tensors: tuple[TensorDifference, ...] = ()
    is_plan_equal: bool | None = None
    reason: str = ""


def diff_weights(a: ModelVersion, b: ModelVersion) -> WeightDifference:
    """Compares the tensors of two versions. Raises BundleError for a file that is not what its header says."""
    without = [str(version.path) for version in (a, b) if MODEL_SAFETENSORS not in version.manifest.files]
    if without:
        is_equal = a.manifest.files[MODEL_ONNX] == b.manifest.files[MODEL_ONNX]
        state = "the same" if is_equal else "another"
        reason = f"{', '.join(without)}: no {MODEL_SAFETENSORS} to compare; {MODEL_ONNX} is {state} file"
        return WeightDifference(is_equal=is_equal, reason=reason)
    (plan_a, tensors_a), (plan_b, tensors_b) = _read(a), _read(b)
    names = [*tensors_a, *(name for name in tensors_b if name not in tensors_a)]
    tensors = tuple(_diff_tensor(name, tensors_a.get(name), tensors_b.get(name)) for name in names)
    is_equal = plan_a == plan_b and all(tensor.change == "equal" for tensor in tensors)
    return WeightDifference(is_equal=is_equal, tensors=tensors, is_plan_equal=plan_a == plan_b)


def _read(version: ModelVersion) -> tuple[dict[str, Any], dict[str, NDArray[np.generic]]]:
    """The layers of the plan, and the tensors that they use."""
    where = str(version.path / MODEL_SAFETENSORS)
    file = SafetensorsFile.from_bytes(version.read(MODEL_SAFETENSORS), where)
    try:
        plan = msgspec.json.decode(file.metadata["plan"], type=dict[str, Any])
        facts = {plan.pop("threshold"), *plan.pop("normalisation").values()}
    except (KeyError, AttributeError, TypeError, ValueError, RecursionError, msgspec.DecodeError) as error:
        raise BundleError(f"{where}: not a readable layer plan: {error}") from error
    return plan, {name: file.array(name) for name in sorted(set(file.entries) - facts)}


def _diff_tensor(name: str, a: NDArray[np.generic] | None, b: NDArray[np.generic] | None) -> TensorDifference:
    if a is None or b is None:
        there = b if a is None else a
        shape = () if there is None else there.shape
        return TensorDifference(name=name, change="only in B" if a is None else "only in A", shape=shape)
    if a.shape != b.shape:
        return TensorDifference(name=name, change="another shape", shape=b.shape)
    if a.dtype.kind != b.dtype.kind:
        # Integers stand for numbers by scales of their own: what they differ by says nothing.
        return TensorDifference(name=name, change="another type", shape=b.shape)
    if a.dtype == b.dtype and a.tobytes() == b.tobytes():
        return TensorDifference(name=name, change="equal", shape=b.shape, max_absolute=0.0, n_changed=0)
    with np.errstate(invalid="ignore"):
        delta = np.abs(a.astype(np.float64) - b.astype(np.float64))
    # A number that is there on one side alone is infinitely far.
    largest = float(np.nan_to_num(delta, nan=np.inf).max(initial=0.0))
    return TensorDifference(
        name=name, change="changed", shape=b.shape, max_absolute=largest, n_changed=int((delta != 0).sum())
    )
