from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from offbeat.bundle import ModelVersion
from offbeat.errors import BundleError, OffbeatError
from offbeat.scorer import load
from tests.runtime import folders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folders.write_version(tmp_path)


def edit_manifest(folder: Path, path: str, value: Any) -> None:
    """Sets the field at a dotted path; `...` removes it."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    *parents, last = path.split(".")
    place = manifest
    for key in parents:
        place = place[int(key) if isinstance(place, list) else key]
    if value is ...:
        del place[last]
    else:
        place[int(last) if isinstance(place, list) else last] = value
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_good_folder_opens_and_gives_its_golden_windows(folder: Path) -> None:
    version = ModelVersion.open(folder)
    golden = version.golden()
    np.testing.assert_array_equal(golden.window, folders.random_windows(8))
    assert set(golden.outputs) == set(folders.OUTPUTS)


def test_the_manifest_survives_a_round_trip() -> None:
    manifest = folders.make_manifest({"model.onnx": b"", "golden.npz": b""})
    assert type(manifest).from_json(manifest.to_json(), "here") == manifest


NORMAL = {"n_windows": 5, "features": [[0.0] * 41] * 2, "errors": [0.0] * 41}
RECALIBRATION = {"from_version": 1, "source": None, "recalibrated_at": "2026-01-01", "offbeat_version": "0.1.0"}
GRAPH_CANDIDATE = {"opset": 17, "n_nodes": 29, "n_lstm_nodes": 2, "findings": []}
GRAPH = {"exporter": "classic", "reason": "fewest nodes", "candidates": {"classic": GRAPH_CANDIDATE}}


def conformal(**changes: Any) -> dict[str, Any]:
    """A conformal threshold whose calibration has these fields changed."""
    calibration = {"errors": [0.5, 1.5, 2.0], "ranks": [1, 2, 3]} | changes
    facts = {"value": 1.5, "method": "conformal", "n_windows": 3, "false_alarm_rate": 0.5}
    return facts | {"calibration": calibration}


BAD_FIELDS: list[tuple[str, Any, str]] = [
    ("schema_version", 2, "schema_version"),
    ("schema_version", ..., "schema_version"),
    ("surprise", 1, "surprise"),
    ("name", "../up", "name"),
    ("name", "", "name"),
    ("version", 0, "version"),
    ("version", "1", "version"),
    ("description", None, "description"),
    ("architecture.kind", 3, "architecture"),
    ("architecture.settings", {"a": {"b": 1}}, "architecture"),
    ("architecture.n_parameters", -1, "n_parameters"),
    ("inputs", [], "inputs"),
    ("inputs.0.name", "x", "inputs"),
    ("inputs.0.dtype", "float64", "inputs"),
    ("inputs.0.shape", ["batch", 2], "inputs"),
    ("outputs", [], "outputs"),
    ("outputs.0.name", "verdict", "verdict"),
    ("outputs.0.dtype", "bool", "dtype"),
    ("outputs.0.shape", ["batch", 1], "shape"),
    ("outputs.1", {"name": "reconstruction_error", "dtype": "float32", "shape": ["batch"]}, "at most once"),
    ("feature_names", [], "feature_names"),
    ("feature_names", ["a", "a"], "feature_names"),
    ("feature_names", ["a"], "normalisation"),
    ("window", None, "inputs"),
    ("window.length", 0, "length"),
    ("window.stride", 0, "stride"),
    ("window.is_time_dynamic", False, "inputs"),
    ("window.min_length", 0, "min_length"),
    ("normalisation.mean", [0.0], "normalisation.mean"),
    ("normalisation.mean", [0.1, 0.0], "normalisation.mean"),
    ("normalisation.scale", [1.0, 0.0], "normalisation.scale"),
    ("normalisation.scale", [1.0, -1.0], "normalisation.scale"),
    ("threshold.value", 0, "threshold"),
    ("threshold.value", -1.0, "threshold"),
    ("threshold.value", 1.1, "exactly the graph's number"),
    ("threshold.value", 10**400, "threshold"),
    ("threshold.method", "magic", "method"),
    ("threshold.percentile", 95.0, "percentile"),
    ("threshold.n_windows", -1, "n_windows"),
    ("threshold.false_alarm_rate", 0.0, "false_alarm_rate"),
    ("threshold.initial_percentile", 98.0, "initial_percentile"),
    ("threshold.f1", 2.0, "f1"),
    ("threshold.calibration", conformal()["calibration"], "expected one of as many, with 'conformal' alone"),
    ("threshold", conformal(errors=[]), "calibration.errors"),
    ("threshold", conformal(errors=[0.5, 2.0, 1.5]), "calibration.errors"),
    ("threshold", conformal(errors=[-0.5, 1.5, 2.0]), "calibration.errors"),
    ("threshold", conformal(errors=[0.1, 1.5, 2.0]), "calibration.errors is 0.1; expected ascending float32"),
    ("threshold", conformal(errors=[0.5, 1.5, 1e300]), "calibration.errors"),
    ("threshold", conformal(errors=["a", 1.5, 2.0]), "calibration.errors"),
    ("threshold", conformal(errors=[0.5] * 1001, ranks=list(range(1, 1002))), "1001 numbers.*1 to 1,000"),
    ("threshold", conformal(ranks=[1, 2]), "calibration.ranks"),
    ("threshold", conformal(ranks=[0, 1, 3]), "calibration.ranks"),
    ("threshold", conformal(ranks=[1, 3, 3]), "calibration.ranks"),
    ("threshold", conformal(ranks=[1, 2, 4]), "a calibration of 4; expected one of as many"),
    ("threshold", conformal(surprise=1), "surprise"),
    ("training.source.sha256", "abc", "sha256"),
    ("training.source.n_rows", -1, "n_rows"),
    ("training.source.name", 1, "name"),
    ("training.n_training_windows", -1, "n_training_windows"),
    ("training.n_validation_windows", -1, "n_validation_windows"),
    ("training.n_epochs", -1, "n_epochs"),
    ("training.best_epoch", -1, "best_epoch"),
    ("training.best_validation_loss", "low", "best_validation_loss"),
    ("training.seed", 1.5, "seed"),
    ("training.trained_at", 0, "trained_at"),
    ("training.torch_version", 2, "torch_version"),
    ("training.offbeat_version", 2, "offbeat_version"),
    ("recalibration", 1, "recalibration"),
    ("recalibration", {"from_version": 1}, "recalibration"),
    ("recalibration", RECALIBRATION | {"from_version": 0}, "from_version"),
    ("recalibration", RECALIBRATION | {"source": "a.csv"}, "source"),
    ("recalibration", RECALIBRATION | {"recalibrated_at": None}, "recalibrated_at"),
    ("recalibration", RECALIBRATION | {"offbeat_version": 1}, "offbeat_version"),
    ("training.class_names", "off", "class_names"),
    ("training.normal", NORMAL | {"n_windows": 0}, "n_windows"),
    ("training.normal", NORMAL | {"features": [[0.0] * 41]}, "training.normal.features is 1; expected 2"),
    (
        "training.normal",
        NORMAL | {"features": [[0.0] * 40] * 2},
        r"training.normal.features\[0\] is '40 values'; expected 41",
    ),
    ("training.normal", NORMAL | {"features": [[0.0] * 41, [1.0] + [0.0] * 40]}, r"features\[1\] is .*ascending"),
    ("training.normal", NORMAL | {"errors": [None] * 41}, "errors"),
    ("training.normal", NORMAL | {"errors": [0.0] * 42}, "training.normal.errors is '42 values'"),
    ("training.normal", NORMAL | {"more": 1}, "more"),
    ("training.class_names", ["on", "off"], "training.class_names is .*; expected 0 different names"),
    ("metrics", {"auc": "high"}, "metrics"),
    ("opset", -1, "opset"),
    ("graph", "classic", "graph"),
    ("graph", GRAPH | {"exporter": "magic"}, "one of the candidates"),
    ("graph", GRAPH | {"reason": 1}, "reason"),
    ("graph", GRAPH | {"candidates": {}}, "one of the candidates"),
    ("graph", GRAPH | {"candidates": {"classic": {"opset": 17}}}, "n_nodes"),
    ("graph", GRAPH | {"candidates": {"classic": GRAPH_CANDIDATE | {"opset": -1}}}, "opset"),
    ("graph", GRAPH | {"candidates": {"classic": GRAPH_CANDIDATE | {"n_nodes": -1}}}, "n_nodes"),
    ("graph", GRAPH | {"candidates": {"classic": GRAPH_CANDIDATE | {"n_lstm_nodes": -1}}}, "n_lstm_nodes"),
    ("graph", GRAPH | {"candidates": {"classic": GRAPH_CANDIDATE | {"findings": [1]}}}, "findings"),
    ("licence", 1, "licence"),
    # Its own fields have their bad values in test_precision_record.py.
    ("precision", "int8", "precision"),
    ("precision", {"weights": "fp8"}, "precision"),
    ("parity.bound", 0.0, "bound"),
    ("parity.bound", 5.0, "bound"),
    ("parity.formats", [], "formats"),
    ("parity.formats.onnx.decision_flips", -1, "decision_flips"),
    ("parity.formats.onnx.n_cases", -1, "n_cases"),
    ("parity.formats.onnx.n_windows", -1, "n_windows"),
    ("parity.formats.onnx.worst_case", 1, "worst_case"),
    ("parity.formats.onnx.batch_sizes", [0], "batch_sizes"),
    ("parity.formats.onnx.lengths", [0], "lengths"),
    ("parity.formats.onnx.row_spread", -1.0, "row_spread"),
    (
        "parity.formats.onnx.outputs",
        {"x": {"max_absolute": 0, "max_relative": 0, "mean_absolute": -1}},
        "mean_absolute",
    ),
    (
        "parity.formats.onnx.outputs",
        {"x": {"max_absolute": 0, "max_relative": 0, "mean_relative": ""}},
        "mean_relative",
    ),
    ("parity.formats.onnx.outputs", {"x": {"max_absolute": 0}}, "max_relative"),
    ("files", {}, "model.onnx"),
    ("files", {"../../etc/passwd": {"n_bytes": 1, "sha256": "0" * 64}}, "plain file name"),
    ("files", {"manifest.json": {"n_bytes": 1, "sha256": "0" * 64}}, "plain file name"),
    ("files", {".": {"n_bytes": 1, "sha256": "0" * 64}}, "plain file name"),
]


@pytest.mark.parametrize(("path", "value", "message"), BAD_FIELDS, ids=lambda value: str(value)[:40])
def test_a_bad_value_of_each_field_is_refused_by_name(folder: Path, path: str, value: Any, message: str) -> None:
    edit_manifest(folder, path, value)
    with pytest.raises(BundleError, match=message) as caught:
        ModelVersion.open(folder)
    assert "manifest.json" in str(caught.value)


def test_every_field_of_the_manifest_has_a_bad_value_above() -> None:
    def leaves(value: Any, prefix: str = "") -> set[str]:
        if isinstance(value, dict) and prefix not in (
            "files",
            "metrics",
            "architecture.settings",
            "parity.formats.onnx.outputs",
        ):
            return {leaf for key, item in value.items() for leaf in leaves(item, f"{prefix}.{key}".lstrip("."))}
        return {prefix}

    manifest = msgspec.to_builtins(folders.make_manifest({}))
    tested = {path for path, _, _ in BAD_FIELDS}
    assert {leaf for leaf in leaves(manifest) if not any(path.startswith(leaf) for path in tested)} == set()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"schema_version": 1e999}',
        b'{"schema_version": ' + b"9" * 5000 + b"}",
        b'{"version": ' + b"9" * 30 + b"}",
        b"\0" * 100,
    ],
)
def test_a_manifest_that_is_no_manifest_is_refused(folder: Path, content: bytes) -> None:
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        ModelVersion.open(folder)


def test_a_key_that_is_there_twice_is_refused_since_readers_would_differ_on_it(folder: Path) -> None:
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"threshold": {', '"threshold": {"value": 9.0,', 1))
    with pytest.raises(BundleError, match=r"manifest\.json: key is 'value'; expected each key once"):
        ModelVersion.open(folder)


def test_a_window_of_another_length_than_the_golden_ones_is_refused(folder: Path) -> None:
    edit_manifest(folder, "window.length", 7)
    with pytest.raises(BundleError, match=r"golden\.npz: windows of 6 steps; the manifest says 7"):
        load(folder)


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx", "golden.npz"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=name):
        ModelVersion.open(folder)


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz"])
def test_a_truncated_file_is_named_with_both_sizes(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1])
    with pytest.raises(BundleError, match=f"{name}: {len(content) - 1:,} bytes; manifest.json says {len(content):,}"):
        ModelVersion.open(folder)


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz"])
def test_one_flipped_bit_is_found(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name}: SHA-256"):
        ModelVersion.open(folder)


def test_a_file_swapped_after_opening_is_refused(folder: Path) -> None:
    version = ModelVersion.open(folder)
    content = bytearray((folder / "model.onnx").read_bytes())
    content[-1] ^= 1
    (folder / "model.onnx").write_bytes(content)
    with pytest.raises(BundleError, match="SHA-256"):
        version.read("model.onnx")


def test_a_file_the_manifest_does_not_list_is_refused(folder: Path) -> None:
    (folder / "model.pkl").write_bytes(b"surprise")
    with pytest.raises(BundleError, match=r"model\.pkl not listed"):
        ModelVersion.open(folder)


def test_links_and_pipes_and_folders_are_no_files(folder: Path, tmp_path: Path) -> None:
    content = (folder / "model.onnx").read_bytes()
    (tmp_path / "elsewhere.onnx").write_bytes(content)
    for make in (
        lambda path: path.symlink_to(tmp_path / "elsewhere.onnx"),
        os.mkfifo,
        lambda path: path.mkdir(),
    ):
        (folder / "model.onnx").unlink()
        make(folder / "model.onnx")
        with pytest.raises(BundleError, match=r"model\.onnx.*regular file"):
            ModelVersion.open(folder)
        (folder / "model.onnx").rmdir() if (folder / "model.onnx").is_dir() else (folder / "model.onnx").unlink()
        (folder / "model.onnx").write_bytes(content)
    ModelVersion.open(folder)


def test_no_folder_at_all_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such folder"):
        ModelVersion.open(tmp_path / "absent")


def test_random_damage_anywhere_is_always_an_explained_error(folder: Path) -> None:
    """Bytes flipped, cut or inserted in any file: never a crash, never another exception, never a score."""
    generator = random.Random(0)  # noqa: S311
    originals = {path: path.read_bytes() for path in folder.iterdir()}
    n_refused = 0
    for _ in range(150):
        path, original = generator.choice(list(originals.items()))
        damaged = bytearray(original)
        position = generator.randrange(len(damaged))
        match generator.randrange(3):
            case 0:
                damaged[position] ^= 1 << generator.randrange(8)
            case 1:
                del damaged[position:]
            case _:
                damaged[position:position] = generator.randbytes(generator.randrange(1, 9))
        path.write_bytes(damaged)
        try:
            with load(folder) as scorer:
                # Only words of the manifest that describe, such as its texts, may change unnoticed.
                assert path.name == "manifest.json"
                windows = folders.random_windows(4)
                expected = folders.expected_outputs(windows)["reconstruction_error"]
                np.testing.assert_allclose(scorer.score(windows).reconstruction_error, expected, rtol=1e-5)
        except OffbeatError:
            n_refused += 1
        path.write_bytes(original)
    assert n_refused > 100


def test_of_very_many_files_that_are_not_listed_some_are_named_and_the_others_counted(folder: Path) -> None:
    for number in range(2000):
        (folder / f"{number:04}.tmp").touch()
    with pytest.raises(BundleError, match=r"0000\.tmp, .*2,000 in all\) not listed") as caught:
        ModelVersion.open(folder)
    assert len(str(caught.value)) < 1000
