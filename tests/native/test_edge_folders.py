"""`offbeat-edge` and the model version folder: what agrees with the manifest and the golden windows is used, nothing else is."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

import offbeat
from offbeat_export import export_checkpoint
from tests.export.checkpoints import lstm_checkpoint
from tests.native.edge_program import GOLDEN, csv_rows, needs_build, run_edge

pytestmark = needs_build
MODEL = GOLDEN / "repeat"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of a golden folder, to be spoilt."""
    return Path(shutil.copytree(MODEL / "1", tmp_path / "1"))


def record(folder: Path, name: str) -> None:
    """Writes a file's true size and digest into the manifest, as a forger would."""
    manifest = json.loads((folder / "manifest.json").read_text())
    content = (folder / name).read_bytes()
    manifest["files"][name] = {"n_bytes": len(content), "sha256": sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("model", sorted(path.name for path in GOLDEN.iterdir()))
def test_the_golden_folders_are_replayed_with_pythons_verdict(model: str) -> None:
    with offbeat.load(GOLDEN / model / "1", backend="onnxruntime") as scorer:
        assert scorer.manifest.name == model
    result = run_edge("verify", GOLDEN / model, "--isa", "all")
    assert result.returncode == 0, result.stdout + result.stderr
    assert len(result.stdout.splitlines()) >= len(
        json.loads((GOLDEN / model / "1" / "manifest.json").read_text())["outputs"]
    )


@pytest.mark.parametrize("name", ["window", "reconstruction_error", "feature_error", "reconstruction"])
def test_verify_finds_a_golden_number_that_the_engine_does_not_give(name: str, folder: Path) -> None:
    _change_golden(folder, name, 1.01)
    result = run_edge("verify", folder)
    assert result.returncode in (1, 3)
    assert "beyond it" in result.stdout or "do not follow from" in result.stderr


def test_the_tolerance_is_pythons_to_the_digit(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    with np.load(folder / "golden.npz") as archive:
        error = archive["reconstruction_error"].astype(np.float64)
    for n_units, code in ((0.9, 0), (1.1, 1)):
        shift = n_units * manifest["parity"]["bound"] * np.maximum(1.0, error)
        _change_golden(folder, "step_error", None, shift[:, None])
        assert run_edge("verify", folder).returncode == code
        shutil.copyfile(MODEL / "1" / "golden.npz", folder / "golden.npz")


def _change_golden(folder: Path, name: str, factor: float | None, shift: np.ndarray | float = 0.0) -> None:
    with np.load(folder / "golden.npz") as archive:
        arrays = dict(archive)
    arrays[name] = (arrays[name] * (1.0 if factor is None else factor) + shift).astype(np.float32)
    np.savez_compressed(folder / "golden.npz", allow_pickle=False, **arrays)
    record(folder, "golden.npz")


def test_stored_archives_are_read_as_deflated_ones(folder: Path) -> None:
    with np.load(folder / "golden.npz") as archive:
        np.savez(folder / "stored.npz", allow_pickle=False, **archive)
    (folder / "stored.npz").replace(folder / "golden.npz")
    record(folder, "golden.npz")
    assert run_edge("verify", folder).stdout == run_edge("verify", MODEL).stdout


def test_large_arrays_are_unpacked_with_codes_of_their_own(folder: Path) -> None:
    # Enough numbers that deflate makes dynamic codes and distances up to its limit.
    with np.load(folder / "golden.npz") as archive:
        arrays = {name: np.concatenate([values] * 200) for name, values in archive.items()}
    np.savez_compressed(folder / "golden.npz", allow_pickle=False, **arrays)
    record(folder, "golden.npz")
    assert run_edge("verify", folder).returncode == 0


@pytest.mark.parametrize("name", ["golden.npz", "model.safetensors", "manifest.json", "model.onnx"])
def test_a_flipped_byte_is_never_a_pass(name: str, folder: Path) -> None:
    whole = (folder / name).read_bytes()
    positions = np.random.default_rng(0).integers(0, len(whole), 25)
    for position in positions:
        spoilt = bytearray(whole)
        spoilt[position] ^= 0x41
        (folder / name).write_bytes(spoilt)
        result = run_edge("verify", folder)
        # What the manifest says beside what is computed may change without harm.
        assert result.returncode == 3 or (name == "manifest.json" and result.returncode == 0), (position, result)
        assert result.returncode == 0 or result.stderr.startswith("offbeat-edge: ")


def test_an_archive_spoilt_anywhere_is_an_error_and_no_crash(folder: Path) -> None:
    whole = (folder / "golden.npz").read_bytes()
    generator = np.random.default_rng(1)
    for _ in range(60):
        spoilt = bytearray(whole)
        position = int(generator.integers(0, len(whole)))
        if generator.random() < 0.3:
            del spoilt[position:]
        else:
            spoilt[position] = int(generator.integers(0, 256))
        (folder / "golden.npz").write_bytes(spoilt)
        record(folder, "golden.npz")
        result = run_edge("verify", folder)
        assert result.returncode in (0, 1, 3), (position, result)
        assert bytes(spoilt) == whole or result.returncode != 0 or _is_harmless(whole, spoilt)


def _is_harmless(whole: bytes, spoilt: bytes) -> bool:
    """The numbers are the same; or numpy, which looks at more of the headers than their meaning needs, reads none."""
    with np.load(io.BytesIO(whole)) as expected:
        try:
            with np.load(io.BytesIO(bytes(spoilt))) as seen:
                return all(np.array_equal(expected[name], seen[name]) for name in expected.files)
        except (ValueError, OSError, KeyError, NotImplementedError, zipfile.BadZipFile):
            return True


def test_a_folder_that_is_not_what_its_manifest_says_is_refused(folder: Path) -> None:
    (folder / "extra").write_text("x")
    assert "extra is not listed" in run_edge("inspect", folder).stderr
    (folder / "extra").unlink()
    (folder / "model.onnx").unlink()
    assert "model.onnx: No such file" in run_edge("inspect", folder).stderr
    (folder / "model.onnx").symlink_to(MODEL / "1" / "model.onnx")
    assert "not a regular file" in run_edge("inspect", folder).stderr


def test_the_newest_version_of_a_model_is_taken(tmp_path: Path) -> None:
    for version in ("9", "10", "x", "010"):
        shutil.copytree(MODEL / "1", tmp_path / version)
        manifest = json.loads((tmp_path / version / "manifest.json").read_text())
        manifest["version"] = int(version) if version.isdigit() else 1
        (tmp_path / version / "manifest.json").write_text(json.dumps(manifest))
    assert "version 10" in run_edge("inspect", tmp_path).stdout


def test_a_folder_exported_now_is_read(tmp_path: Path) -> None:
    """Fails where a manifest has a key that this reader, as strict as the format asks, does not know yet."""
    report = export_checkpoint(lstm_checkpoint(2), tmp_path, name="fresh")
    result = run_edge("verify", report.folder)
    assert result.returncode == 0, result.stderr


def test_every_key_of_a_manifest_is_known(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    for place in (manifest, manifest["window"], manifest["outputs"][0], manifest["files"]["model.onnx"]):
        place["further"] = 1
        (folder / "manifest.json").write_text(json.dumps(manifest))
        assert "unknown key further" in run_edge("inspect", folder).stderr
        del place["further"]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schema_version", 2, "schema_version: expected 1"),
        ("name", "../up", "name: expected letters"),
        ("version", 0, "version: expected a whole number from 1"),
        ("feature_names", ["a", "a"], "feature_names: expected at least one name, each once"),
        ("feature_names", ["a", "b"], "normalisation.mean: 1 numbers; expected 2"),
        ("window", {"length": 0, "stride": 1, "is_time_dynamic": True, "min_length": 1}, "window.length"),
        ("window", None, "mixed up"),
        ("threshold.value", -1, "threshold.value: expected a positive float32 number"),
        ("threshold.value", 2.5, "another threshold than manifest.json"),
        ("normalisation.scale", [0], "normalisation.scale: expected finite float32 numbers, scales positive"),
        ("parity.bound", 0.2, "parity.bound: expected a number above 0, at most 0.1"),
        ("files", {"../x": {"n_bytes": 1, "sha256": "0" * 64}}, "expected a plain file name"),
        ("outputs", "x", "outputs: a string; expected a list"),
    ],
)
def test_a_bad_value_in_a_manifest_is_named(path: str, value: object, message: str, folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    *parents, key = path.split(".")
    place = manifest
    for parent in parents:
        place = place[parent]
    place[key] = value
    (folder / "manifest.json").write_text(json.dumps(manifest))
    result = run_edge("inspect", folder)
    assert result.returncode == 3
    assert message in result.stderr


def test_a_score_is_refused_where_the_golden_windows_disagree(folder: Path) -> None:
    _change_golden(folder, "reconstruction", 1.5)
    result = run_edge("score", folder, stdin=csv_rows(40, 1))
    assert result.returncode == 3
    assert "golden" in result.stderr
    assert result.stdout == ""
