"""`golden.npz`: windows with the eager model's outputs, replayed by every loader."""

from __future__ import annotations

import io
import math
import zipfile
import zlib

import msgspec
import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from offbeat.bundle.manifest import Manifest, TensorSpec
from offbeat.bundle.tolerance import difference, may_flip, unit
from offbeat.errors import BundleError
from offbeat.result import FloatArray

WINDOW = "window"
MAX_GOLDEN_BYTES = 2**30
# Two divisions in float32, of numbers up to 1.
_SCORE_ROUNDING = 1e-5


class Golden(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """`window` in raw units, shaped as the model's input, and every output of the eager float32 model, by name."""

    window: FloatArray
    outputs: dict[str, NDArray[np.generic]]

    @classmethod
    def from_npz(cls, content: bytes, manifest: Manifest, where: str) -> Golden:
        """Reads an npz archive without trusting it: no pickles, and no size that was not checked first. Raises BundleError."""
        arrays = _read_arrays(content, where)
        expected = {WINDOW, *manifest.output_names}
        if set(arrays) != expected:
            raise BundleError(f"{where}: holds {sorted(arrays)}; expected {sorted(expected)}")
        for spec in (*manifest.inputs, *manifest.outputs):
            _check_array(arrays[spec.name], spec, arrays[WINDOW], where)
        _check_length(arrays[WINDOW], manifest, where)
        _check_threshold(arrays, manifest, where)
        return cls(window=arrays.pop(WINDOW).astype(np.float32, copy=False), outputs=arrays)

    def largest_deviation(self, manifest: Manifest, results: dict[str, NDArray[np.generic]]) -> tuple[float, str]:
        """The largest difference from the golden outputs in units of the manifest's parity bound, and the output it is in.

        At most 1 is a pass; `offbeat.bundle.tolerance` says what each output is measured in. A decision may differ only
        where the error is within the bound of the threshold; elsewhere it counts as infinite.
        """
        deviations = {name: self._deviation(manifest, name, results[name]) for name in results}
        worst = max(deviations, key=deviations.__getitem__)
        return deviations[worst], worst

    def _deviation(self, manifest: Manifest, name: str, result: NDArray[np.generic]) -> float:
        golden = self.outputs[name]
        if result.shape != golden.shape or result.dtype != golden.dtype:
            return math.inf
        if name == "is_anomaly":
            is_allowed = (result == golden) | may_flip(self.outputs["reconstruction_error"], manifest)
            return 0.0 if bool(is_allowed.all()) else math.inf
        allowed = manifest.parity.bound * unit(name, self.outputs, self.window, manifest)
        return float((difference(result, golden) / allowed).max(initial=0.0))


def _read_arrays(content: bytes, where: str) -> dict[str, NDArray[np.generic]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > MAX_GOLDEN_BYTES:
                raise BundleError(f"{where}: unpacks to more than {MAX_GOLDEN_BYTES:,} bytes")
            return {entry.filename.removesuffix(".npy"): _read_array(archive, entry) for entry in entries}
    except (
        zipfile.BadZipFile,
        ValueError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        OSError,
        SyntaxError,
        zlib.error,
    ) as error:
        raise BundleError(f"{where}: not a readable npz archive: {error}") from error


def _read_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[np.generic]:
    """Reads one member; the header's shape must account for its bytes before an array is made."""
    with archive.open(entry) as member:
        data = member.read()
    buffer = io.BytesIO(data)
    version = npy.read_magic(buffer)
    if version != (1, 0):
        raise ValueError(f"{entry.filename} has npy version {version}; expected (1, 0)")
    shape, fortran_order, dtype = npy.read_array_header_1_0(buffer)
    if fortran_order or dtype not in (np.dtype("<f4"), np.dtype("?")):
        raise ValueError(
            f"{entry.filename} holds {dtype} (Fortran order: {fortran_order}); expected row-major float32 or bool"
        )
    if math.prod(shape) * dtype.itemsize != len(data) - buffer.tell():
        raise ValueError(f"{entry.filename} has shape {shape} but {len(data) - buffer.tell()} bytes")
    return np.frombuffer(data, dtype, offset=buffer.tell()).reshape(shape)


def _check_array(array: NDArray[np.generic], spec: TensorSpec, window: NDArray[np.generic], where: str) -> None:
    sizes = {"batch": window.shape[0] if window.ndim else 0, "time": window.shape[1] if window.ndim == 3 else 0}
    expected = tuple(sizes[axis] if isinstance(axis, str) else axis for axis in spec.shape)
    if array.dtype != np.dtype(spec.dtype) or array.shape != expected:
        raise BundleError(f"{where}: {spec.name} is {array.dtype} {array.shape}; expected {spec.dtype} {expected}")
    if 0 in expected:
        raise BundleError(
            f"{where}: {spec.name} is empty, {array.dtype} {array.shape}; expected at least one window of one step"
        )
    if array.dtype != np.bool_ and not np.isfinite(array).all():
        raise BundleError(f"{where}: {spec.name} holds NaN or infinity")


def _check_length(window: NDArray[np.generic], manifest: Manifest, where: str) -> None:
    """A series is cut into windows of the manifest's length: another one than was trained gives other scores."""
    if manifest.window is not None and window.shape[1] != manifest.window.length:
        raise BundleError(f"{where}: windows of {window.shape[1]} steps; the manifest says {manifest.window.length}")


def _check_threshold(arrays: dict[str, NDArray[np.generic]], manifest: Manifest, where: str) -> None:
    """The manifest's threshold must be the one the scores were made with: whoever reads one must not contradict the other."""
    threshold = float(np.float32(manifest.threshold.value))
    error = arrays["reconstruction_error"].astype(np.float64)
    score = np.clip(error / (2 * threshold), 0.0, 1.0)
    is_same_score = np.abs(arrays["anomaly_score"].astype(np.float64) - score) <= _SCORE_ROUNDING
    is_same_decision = (arrays["is_anomaly"] == (error > threshold)) | may_flip(error, manifest)
    if not (is_same_score & is_same_decision).all():
        row = int(np.argmin(is_same_score & is_same_decision))
        raise BundleError(
            f"{where}: window {row} has error {error[row]:.6g}, score {arrays['anomaly_score'][row]:.6g}, "
            f"anomaly {arrays['is_anomaly'][row]}, which does not follow from the manifest's threshold {threshold:.6g}"
        )
