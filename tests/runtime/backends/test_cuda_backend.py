from __future__ import annotations

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from offbeat.backends.cuda_backend import CudaBackend
from offbeat.backends.cuda_lane import Lane
from offbeat.bundle import ModelVersion
from offbeat.errors import BackendError
from offbeat.result import DEFAULT_OUTPUTS
from tests.runtime import folders
from tests.runtime.backends.fake_gpu import fake_lane


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    return ModelVersion.open(folders.write_version(tmp_path_factory.mktemp("models")))


class Lanes:
    """Opens lanes, and remembers them."""

    def __init__(self, version: ModelVersion, fails_at: int | None = None) -> None:
        self._version = version
        self._fails_at = fails_at
        self.opened: list[Lane] = []

    def open(self) -> Lane:
        if len(self.opened) == self._fails_at:
            raise BackendError("no more memory")
        lane = fake_lane(self._version)
        lane.prove(self._version)
        self.opened.append(lane)
        return lane

    def are_closed(self) -> bool:
        end = time.monotonic() + 10
        while not all(lane._stream.is_closed for lane in self.opened):  # type: ignore[attr-defined]
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True


def test_many_threads_share_the_lanes_and_each_gets_its_own_scores(version: ModelVersion) -> None:
    lanes = Lanes(version)
    backend = CudaBackend("cuda", "fake", lanes.open, n_streams=2)

    def score(seed: int) -> None:
        windows = folders.random_windows(1 + seed % 11, seed=seed)
        results = backend.run(windows, DEFAULT_OUTPUTS)
        for name, expected in folders.expected_outputs(windows).items():
            if name in DEFAULT_OUTPUTS:
                np.testing.assert_allclose(results[name], expected, rtol=1e-5)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(score, range(200)))
    assert len(lanes.opened) == 2
    backend.close()
    assert lanes.are_closed()


def test_two_streams_compute_at_the_same_time(version: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = CudaBackend("cuda", "fake", Lanes(version).open, n_streams=2)
    meeting = threading.Barrier(2, timeout=60)
    run = Lane.run

    def meet(self: Lane, window: object, outputs: object) -> object:
        meeting.wait()
        return run(self, window, outputs)  # type: ignore[arg-type]

    monkeypatch.setattr(Lane, "run", meet)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda seed: backend.run(folders.random_windows(1, seed=seed), DEFAULT_OUTPUTS), range(2)))
    backend.close()


def test_an_engines_failure_is_a_backend_error_and_the_lane_goes_on(version: ModelVersion) -> None:
    backend = CudaBackend("cuda", "fake", Lanes(version).open)
    with pytest.raises(BackendError, match=r"fake: .*window"):
        backend.run(np.zeros((1, 6, 3), np.float32), DEFAULT_OUTPUTS)
    assert len(backend.run(folders.random_windows(2), DEFAULT_OUTPUTS)["is_anomaly"]) == 2
    backend.close()


def test_what_is_queued_at_the_end_is_computed_and_what_comes_later_is_refused(version: ModelVersion) -> None:
    lanes = Lanes(version)
    backend = CudaBackend("cuda", "fake", lanes.open)
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(backend.run, folders.random_windows(500), ("step_error",)) for _ in range(4)]
        while backend._tasks.qsize() == 0 and not all(call.done() for call in calls):
            time.sleep(0)
        backend.close()
        for call in calls:
            if (error := call.exception(timeout=60)) is not None:
                assert "closed" in str(error)
    assert lanes.are_closed()
    backend.close()
    with pytest.raises(BackendError, match="fake: closed"):
        backend.run(folders.random_windows(1), DEFAULT_OUTPUTS)


def test_a_backend_that_is_forgotten_frees_its_lanes(version: ModelVersion) -> None:
    lanes = Lanes(version)
    backend = CudaBackend("cuda", "fake", lanes.open, n_streams=2)
    del backend
    gc.collect()
    assert lanes.are_closed()


def test_a_lane_that_cannot_be_opened_is_told_and_the_others_are_freed(version: ModelVersion) -> None:
    lanes = Lanes(version, fails_at=1)
    with pytest.raises(BackendError, match="no more memory"):
        CudaBackend("cuda", "fake", lanes.open, n_streams=3)
    assert len(lanes.opened) == 1
    assert lanes.are_closed()
