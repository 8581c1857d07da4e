"""A whole exported folder, damaged at random: what its digests do not catch, since they were made to fit, its golden windows do."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offbeat.backends import names
from offbeat.bundle import ModelVersion
from offbeat.bundle.manifest import FileRecord
from offbeat.config import BackendConfig
from offbeat.errors import BundleError, MissingExtraError, OffbeatError
from offbeat.scorer import Scorer
from offbeat_export.exporter import export_checkpoint
from tests.export.checkpoints import table_checkpoint

FILES = ("manifest.json", "model.onnx", "model.pt", "model.safetensors", "golden.npz")
READERS = [
    ("model.onnx", "onnxruntime"),
    ("model.pt", "torchscript"),
    ("model.safetensors", "eager"),
    ("model.safetensors", "native"),
    ("golden.npz", "onnxruntime"),
]
Damage = st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_checkpoint(table_checkpoint(), tmp_path_factory.mktemp("good"), name="m", exporter="classic").folder


def flipped(content: bytes, position: float, value: int) -> bytes:
    damaged = bytearray(content)
    damaged[int(position * len(damaged))] ^= value
    return bytes(damaged)


@settings(max_examples=150)
@given(file=st.sampled_from(FILES), damage=Damage)
def test_a_flipped_byte_in_any_file_is_found_by_its_digest(folder: Path, file: str, damage: tuple[float, int]) -> None:
    path = folder / file
    original = path.read_bytes()
    path.write_bytes(flipped(original, *damage))
    try:
        ModelVersion.open(folder).golden()
        assert file == "manifest.json"
    except BundleError as error:
        assert file in str(error)  # noqa: PT017
    finally:
        path.write_bytes(original)


@pytest.mark.parametrize(("file", "backend"), READERS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(damage=st.lists(Damage, min_size=1, max_size=3))
def test_a_folder_whose_digests_fit_its_damage_is_refused_or_scores_as_before(
    folder: Path, tmp_path: Path, file: str, backend: str, damage: list[tuple[float, int]]
) -> None:
    if backend not in names():
        pytest.skip(f"no {backend} backend in this installation")
    good = ModelVersion.open(folder)
    forged = Path(shutil.copytree(folder, tmp_path / "forged", dirs_exist_ok=True))
    content = (folder / file).read_bytes()
    for each in damage:
        content = flipped(content, *each)
    (forged / file).write_bytes(content)
    record = FileRecord(n_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    files = good.manifest.files | {file: record}
    (forged / "manifest.json").write_bytes(msgspec.structs.replace(good.manifest, files=files).to_json())
    try:
        with Scorer.open(ModelVersion.open(forged), BackendConfig(backend=backend, device="cpu")) as scorer:
            error = scorer.score(good.golden().window).reconstruction_error
    except MissingExtraError as missing:
        pytest.skip(str(missing))
    except OffbeatError as refusal:
        assert str(forged) in str(refusal)  # noqa: PT017
        return
    expected = good.golden().outputs["reconstruction_error"]
    assert (np.abs(error - expected) <= 2e-5 * np.maximum(1, expected)).all()
