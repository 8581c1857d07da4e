"""What only a machine with a GPU can show. Skipped where onnxruntime has no CUDA provider, or there is no driver."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from offbeat.backends import Backend, create_backend, replay_golden
from offbeat.backends.capture_guard import CAPTURE_GUARD
from offbeat.backends.cuda_driver import CudaDriver, CudaStream
from offbeat.backends.gpu_provider import GpuProvider
from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from offbeat.errors import MissingExtraError
from offbeat.result import DEFAULT_OUTPUTS
from tests.runtime import folders


def why_no_gpu() -> str:
    try:
        GpuProvider.CUDA.import_onnxruntime()
    except MissingExtraError as error:
        return str(error)
    return ""


pytestmark = pytest.mark.skipif(bool(why_no_gpu()), reason="needs a GPU and the extra cuda")


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    return ModelVersion.open(folders.write_version(tmp_path_factory.mktemp("models")))


@pytest.fixture(scope="module", params=[True, False], ids=["graphs", "no graphs"])
def backend(version: ModelVersion, request: pytest.FixtureRequest) -> Iterator[Backend]:
    config = BackendConfig(backend="cuda", n_streams=3, max_bucket_size=64, cuda_graphs=request.param)
    opened = create_backend(version, config)
    yield opened
    opened.close()


def test_a_stream_copies_to_the_device_and_back() -> None:
    stream = CudaStream(CudaDriver())
    sent, got = stream.pinned((1000,), np.float32), stream.pinned((1000,), np.float32)
    sent[:] = np.arange(1000)
    got[:] = 0
    address = stream.device(sent.nbytes)
    stream.send(address, sent)
    stream.fetch(got, address)
    stream.wait()
    np.testing.assert_array_equal(got, np.arange(1000))
    del sent, got
    stream.close()


def test_the_simple_models_graph_is_captured(version: ModelVersion) -> None:
    backend = create_backend(version, BackendConfig(backend="cuda", max_bucket_size=8))
    assert backend.description == "onnxruntime (CUDAExecutionProvider, CUDA graphs)"
    backend.close()


def test_it_replays_the_golden_windows_with_every_output(version: ModelVersion, backend: Backend) -> None:
    replay_golden(version, backend)


def test_every_batch_size_and_another_length_give_the_scores_of_the_formula(backend: Backend) -> None:
    for n_rows, length in [(n_rows, folders.LENGTH) for n_rows in (*range(1, 20), 63, 64, 65, 200)] + [(5, 9)]:
        windows = folders.random_windows(n_rows, length, seed=n_rows)
        results, expected = backend.run(windows, DEFAULT_OUTPUTS), folders.expected_outputs(windows)
        for name in DEFAULT_OUTPUTS:
            np.testing.assert_allclose(results[name], expected[name], rtol=1e-5)


def test_a_rows_score_has_the_same_bits_beside_any_others(backend: Backend) -> None:
    row = folders.random_windows(1)
    for n_rows in (2, 3, 33, 64):
        tame = np.concatenate([row, folders.random_windows(n_rows - 1, seed=1)])
        wild = np.concatenate([row, np.full((n_rows - 1, *row.shape[1:]), 3e38, np.float32)])
        first, second = (backend.run(windows, ("reconstruction_error",)) for windows in (tame, wild))
        assert first["reconstruction_error"][0] == second["reconstruction_error"][0]


def test_many_threads_get_their_own_scores_while_another_model_is_loaded(
    version: ModelVersion, backend: Backend
) -> None:
    def score(seed: int) -> None:
        windows = folders.random_windows(1 + seed % 70, seed=seed)
        error = backend.run(windows, ("reconstruction_error",))["reconstruction_error"]
        np.testing.assert_allclose(error, folders.expected_outputs(windows)["reconstruction_error"], rtol=1e-5)

    with ThreadPoolExecutor(8) as pool:
        scoring = [pool.submit(score, seed) for seed in range(400)]
        create_backend(version, BackendConfig(backend="cuda", max_bucket_size=16)).close()
        for call in scoring:
            call.result()
    assert not CAPTURE_GUARD._is_capturing


def test_loading_and_unloading_gives_the_devices_memory_back(version: ModelVersion) -> None:
    driver = CudaDriver()
    used = []
    for _ in range(4):
        create_backend(version, BackendConfig(backend="cuda", max_bucket_size=64, cuda_graphs=True)).close()
        used.append(free_bytes(driver))
    assert max(used[1:]) - min(used[1:]) < 64 * 2**20


def free_bytes(driver: CudaDriver) -> int:
    stream = CudaStream(driver)
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    assert driver._library.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)) == 0
    stream.close()
    return free.value
