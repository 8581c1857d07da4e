from __future__ import annotations

import sys
import threading
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest

import offbeat
from offbeat import native
from offbeat.backends import auto_backend, create_backend, names
from offbeat.backends.native_backend import NativeBackend
from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from offbeat.errors import BackendError, BundleError, ConfigurationError, FormatAbsentError, MissingExtraError
from offbeat.scorer import Scorer
from tests.runtime import folders

NATIVE = BackendConfig(backend="native")
REASON = "offbeat was installed without its native core"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.write_version(tmp_path_factory.mktemp("models"), safetensors=folders.safetensors_bytes())


@pytest.fixture
def version(folder: Path) -> ModelVersion:
    return ModelVersion.open(folder)


def with_other_mean() -> bytes:
    """The first feature's mean is another one."""
    content = folders.safetensors_bytes()
    assert content.count(folders.MEAN.tobytes()) == 1
    return content.replace(folders.MEAN.tobytes(), np.add(folders.MEAN, np.float32(1)).tobytes())


def test_it_is_registered_and_gives_the_scores_of_the_formula(version: ModelVersion) -> None:
    assert "native" in names()
    with Scorer.open(version, NATIVE) as scorer:
        for n_windows, length in ((1, 6), (7, 1), (600, 20)):
            windows = folders.random_windows(n_windows, length)
            result = scorer.score(windows, folders.OUTPUTS).arrays()
            for name, expected in folders.expected_outputs(windows).items():
                np.testing.assert_allclose(result[name], expected, rtol=1e-5, atol=1e-6)


def test_auto_takes_it_where_the_golden_windows_agree_and_says_why(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with offbeat.load(folder) as scorer:
        assert scorer.backend.name == "native"
        assert f"level version 1 runs on {scorer.backend.description}: it replays the golden windows" in caplog.text
        assert scorer.score(folders.random_windows(1)).backend == scorer.backend.description


class FakeCuda:
    """ONNX Runtime on a GPU."""

    description = "onnxruntime (fake)"


@pytest.mark.parametrize("is_usable", [True, False])
def test_a_gpu_goes_before_the_native_core_and_a_provider_without_one_does_not(
    version: ModelVersion, is_usable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeCuda()

    def open_gpu(*_: object) -> FakeCuda:
        if not is_usable:
            raise MissingExtraError("no GPU")
        return fake

    monkeypatch.setattr(auto_backend, "offers_cuda", lambda: True)
    monkeypatch.setattr(auto_backend, "open_gpu", open_gpu)
    chosen = create_backend(version)
    assert (chosen is fake) == is_usable
    assert is_usable or chosen.name == "native"
    assert create_backend(version, BackendConfig(device="cpu")).name == "native"


def test_auto_works_without_onnx_runtime(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with offbeat.load(folder) as scorer:
        assert scorer.backend.name == "native"
    monkeypatch.setattr(native, "why_missing", lambda: REASON)
    with pytest.raises(MissingExtraError, match=rf"onnxruntime is not installed.*and the native core .*{REASON}"):
        offbeat.load(folder)
    with pytest.raises(MissingExtraError, match="onnxruntime is not installed"):
        offbeat.load(folders.write_version(tmp_path))


def test_a_folder_without_the_file_is_left_to_onnx_runtime(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    version = ModelVersion.open(folders.write_version(tmp_path))
    assert create_backend(version).name == "onnxruntime"
    assert "not native: " in caplog.text
    assert "model.safetensors is not in this folder" in caplog.text
    assert [record.levelname for record in caplog.records] == ["INFO"]
    with pytest.raises(FormatAbsentError, match=r"model\.safetensors is not in this folder"):
        create_backend(version, NATIVE)


def test_without_the_core_auto_takes_onnx_runtime_and_native_is_refused(
    version: ModelVersion, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(native, "why_missing", lambda: REASON)
    assert create_backend(version).name == "onnxruntime"
    assert f"not native: backend 'native': {REASON}" in caplog.text
    with pytest.raises(MissingExtraError, match=REASON):
        create_backend(version, NATIVE)


def test_a_file_that_misses_the_golden_outputs_is_never_scored_with(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    version = ModelVersion.open(folders.write_version(tmp_path, safetensors=with_other_mean()))
    with Scorer.open(version) as scorer:
        assert scorer.backend.name == "onnxruntime"
    assert "not native: " in caplog.text
    assert "times the parity bound" in caplog.text
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    with pytest.raises(BackendError, match=r"golden replay on native \(.*times the parity bound"):
        Scorer.open(version, NATIVE)


def test_a_damaged_file_is_refused_by_name_and_auto_goes_on_without_it(tmp_path: Path) -> None:
    content = folders.safetensors_bytes()[:-1]
    version = ModelVersion.open(folders.write_version(tmp_path, safetensors=content))
    with pytest.raises(BackendError, match=r"the native core refuses it: .*model\.safetensors: header: "):
        create_backend(version, NATIVE)
    assert create_backend(version).name == "onnxruntime"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (folders.safetensors_bytes(threshold=2.0), r"threshold is 2\.0; manifest\.json says 1\.5"),
        (
            folders.safetensors_bytes().replace(b'\\"time\\", 2', b"6, 2".rjust(11)),
            r"windows are \['batch', 6, 2\]; manifest\.json says \['batch', 'time', 2\]",
        ),
    ],
)
def test_a_file_that_contradicts_the_manifest_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    version = ModelVersion.open(folders.write_version(tmp_path, safetensors=content))
    with pytest.raises(BundleError, match=message):
        create_backend(version, NATIVE)


def test_outputs_that_are_not_the_manifests_are_refused(version: ModelVersion) -> None:
    fewer = msgspec.structs.replace(version.manifest, outputs=version.manifest.outputs[:-1])
    with pytest.raises(BundleError, match=r"gives reconstruction_error, .*; manifest\.json says"):
        create_backend(ModelVersion(version.path, fewer), NATIVE)


def test_devices_and_instruction_sets_that_are_not_there_are_refused(version: ModelVersion) -> None:
    with pytest.raises(ConfigurationError, match="device is 'cuda', but the native core computes on the CPU"):
        create_backend(version, BackendConfig(backend="native", device="cuda"))
    with pytest.raises(ConfigurationError, match="isa is 'sse9'; expected auto, baseline"):
        BackendConfig(isa="sse9")
    foreign = "avx2" if native.cpu_features()["neon"] else "neon"
    for backend in ("native", "auto"):
        with pytest.raises(BackendError, match=f'no instruction set "{foreign}"; it has ') as caught:
            create_backend(version, BackendConfig(backend=backend, isa=foreign))
        with pytest.raises(ConfigurationError) as made_up:
            BackendConfig(isa="sse9")
        assert (
            str(made_up.value).removeprefix("isa is 'sse9'; expected auto, ") == str(caught.value).split("it has ")[1]
        )
    assert create_backend(version, BackendConfig(backend="native", isa="baseline")).description == "native (baseline)"


def test_what_the_core_refuses_is_a_backend_error_and_so_is_a_closed_one(version: ModelVersion) -> None:
    with closing(NativeBackend(version, NATIVE)) as backend:
        for window in (np.full((1, 6, 2), np.nan, np.float32), np.zeros((1, 6, 3), np.float32)):
            with pytest.raises(BackendError, match="native"):
                backend.run(window, ("reconstruction_error",))
    with pytest.raises(BackendError, match="closed"):
        backend.run(np.zeros((1, 6, 2), np.float32), ("reconstruction_error",))


def test_other_threads_run_while_a_large_batch_is_scored(version: ModelVersion) -> None:
    backend = NativeBackend(version, NATIVE)
    window = np.zeros((512, 20_000, 2), np.float32)
    is_over, n_turns = threading.Event(), 0

    def count() -> None:
        nonlocal n_turns
        while not is_over.is_set():
            n_turns += 1

    thread = threading.Thread(target=count)
    thread.start()
    before = n_turns
    backend.run(window, ("reconstruction_error",))
    after = n_turns
    is_over.set()
    thread.join()
    assert after > before
