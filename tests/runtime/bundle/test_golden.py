from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from offbeat.bundle import ModelVersion, golden
from offbeat.errors import BackendError, BundleError
from offbeat.scorer import Scorer
from tests.runtime import folders

Outputs = dict[str, NDArray[np.generic]]


def golden_with(change: Callable[[Outputs], None]) -> bytes:
    outputs = folders.expected_outputs(folders.random_windows(8))
    change(outputs)
    return folders.golden_bytes(outputs)


def add(name: str, value: float) -> Callable[[Outputs], None]:
    def change(outputs: Outputs) -> None:
        outputs[name] = (outputs[name] + np.float32(value)).astype(np.float32)

    return change


def test_a_folder_whose_golden_replays_gives_a_scorer(tmp_path: Path) -> None:
    Scorer.open(ModelVersion.open(folders.write_version(tmp_path))).close()


def shift_error(outputs: Outputs) -> None:
    """Another error, with the score that follows from it."""
    outputs["reconstruction_error"] = (outputs["reconstruction_error"] * np.float32(1.001)).astype(np.float32)
    outputs["anomaly_score"] = np.clip(outputs["reconstruction_error"] / np.float32(2 * folders.THRESHOLD), 0, 1)


@pytest.mark.parametrize(
    ("name", "change"),
    [("reconstruction_error", shift_error)]
    + [(name, add(name, 1e-3)) for name in ("feature_error", "step_error")]
    # A reconstruction is allowed a hundred bounds, in units of the feature's scale.
    + [("reconstruction", add("reconstruction", 1e-1))],
)
def test_a_golden_output_that_does_not_replay_is_refused_by_name(
    tmp_path: Path, name: str, change: Callable[[Outputs], None]
) -> None:
    folder = folders.write_version(tmp_path, golden=golden_with(change))
    with pytest.raises(BackendError, match=f"{name} is off by"):
        Scorer.open(ModelVersion.open(folder))


def test_a_decision_may_differ_from_the_golden_one_only_where_the_error_is_at_the_threshold(tmp_path: Path) -> None:
    version = ModelVersion.open(folders.write_version(tmp_path))
    replayed, manifest = version.golden(), version.manifest
    assert replayed.largest_deviation(manifest, dict(replayed.outputs))[0] == 0
    other = replayed.outputs | {"is_anomaly": ~replayed.outputs["is_anomaly"]}
    assert replayed.largest_deviation(manifest, other) == (np.inf, "is_anomaly")
    at_threshold = np.full_like(replayed.outputs["reconstruction_error"], manifest.threshold.value)
    near = replace(replayed, outputs=replayed.outputs | {"reconstruction_error": at_threshold})
    assert near.largest_deviation(manifest, near.outputs | {"is_anomaly": other["is_anomaly"]})[0] == 0


def test_golden_windows_that_are_none_are_called_empty(tmp_path: Path) -> None:
    none = {"window": folders.random_windows(8)[:0]} | folders.expected_outputs(folders.random_windows(8)[:0])
    buffer = io.BytesIO()
    np.savez(buffer, **none)  # type: ignore[arg-type]
    folder = folders.write_version(tmp_path, golden=buffer.getvalue())
    with pytest.raises(BundleError, match=r"window is empty, float32 \(0, 6, 2\); expected at least one window"):
        ModelVersion.open(folder).golden()


def flip(outputs: Outputs) -> None:
    outputs["is_anomaly"] = ~outputs["is_anomaly"]


@pytest.mark.parametrize("change", [add("anomaly_score", 1e-3), flip])
def test_scores_that_do_not_follow_from_the_threshold_are_refused(
    tmp_path: Path, change: Callable[[Outputs], None]
) -> None:
    folder = folders.write_version(tmp_path, golden=golden_with(change))
    with pytest.raises(BundleError, match="does not follow from the manifest's threshold"):
        ModelVersion.open(folder).golden()


def test_a_manifest_with_another_threshold_than_the_graph_is_refused(tmp_path: Path) -> None:
    folder = folders.write_version(tmp_path)
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace(f'"value": {folders.THRESHOLD}', '"value": 0.5'))
    with pytest.raises(BundleError, match=r"does not follow from the manifest's threshold 0\.5"):
        ModelVersion.open(folder).golden()


def test_a_difference_within_the_bound_passes(tmp_path: Path) -> None:
    folder = folders.write_version(tmp_path, golden=golden_with(add("reconstruction_error", 5e-6)))
    Scorer.open(ModelVersion.open(folder)).close()


def test_a_graph_with_another_threshold_is_refused(tmp_path: Path) -> None:
    folder = folders.write_version(tmp_path, onnx=folders.onnx_bytes(threshold=0.1))
    with pytest.raises(BackendError, match="golden replay"):
        Scorer.open(ModelVersion.open(folder))


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = ModelVersion.open(folders.write_version(tmp_path))
    with zipfile.ZipFile(io.BytesIO(version.read("golden.npz"))) as archive:
        n_bytes = sum(entry.file_size for entry in archive.infolist())
    monkeypatch.setattr(golden, "MAX_GOLDEN_BYTES", n_bytes)
    version.golden()
    monkeypatch.setattr(golden, "MAX_GOLDEN_BYTES", n_bytes - 1)
    with pytest.raises(BundleError, match="unpacks to more than"):
        version.golden()


def without(name: str) -> Callable[[Outputs], None]:
    return lambda outputs: outputs.__delitem__(name)


def replaced(name: str, value: NDArray[np.generic]) -> Callable[[Outputs], None]:
    return lambda outputs: outputs.__setitem__(name, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("step_error"), "expected"),
        (replaced("surprise", np.zeros(8, np.float32)), "surprise"),
        (replaced("reconstruction_error", np.zeros(7, np.float32)), "reconstruction_error"),
        (replaced("reconstruction_error", np.zeros(8, np.float64)), "float64"),
        (replaced("reconstruction_error", np.full(8, np.nan, np.float32)), "NaN"),
        (replaced("reconstruction", np.asfortranarray(np.zeros((8, 6, 2), np.float32))), "Fortran"),
        (replaced("step_error", np.array([object()] * 8)), "npz"),
    ],
)
def test_a_golden_file_of_the_wrong_content_is_refused(
    tmp_path: Path, change: Callable[[Outputs], None], message: str
) -> None:
    folder = folders.write_version(tmp_path, golden=golden_with(change))
    with pytest.raises(BundleError, match=message) as caught:
        ModelVersion.open(folder).golden()
    assert "golden.npz" in str(caught.value)


def npy_header(shape: str) -> bytes:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


def archive_of(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"not a zip archive",
        archive_of({}),
        archive_of({"window.npy": b"not an array"}),
        archive_of({"window.npy": npy_header("(1000000000000,)")}),
        archive_of({"window.npy": npy_header("(-1,)")}),
        archive_of({"window.npy": npy_header("__import__('os').abort()")}),
        archive_of({"window.npy": npy_header("(2,)") + b"\0" * 9}),
        archive_of({f"{name}.npy": bytes(300 << 20) for name in ("a", "b", "c", "d")}),
    ],
    ids=["no zip", "nothing", "no array", "absurd shape", "negative", "code", "trailing bytes", "zip bomb"],
)
def test_a_hostile_golden_file_is_refused_cheaply(tmp_path: Path, content: bytes) -> None:
    folder = folders.write_version(tmp_path, golden=content)
    with pytest.raises(BundleError, match=r"golden\.npz"):
        ModelVersion.open(folder).golden()
