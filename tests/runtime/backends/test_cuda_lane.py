from __future__ import annotations

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest

from offbeat.bundle import ModelVersion
from offbeat.errors import BackendError
from offbeat.result import DEFAULT_OUTPUTS
from tests.runtime import folders
from tests.runtime.backends.fake_gpu import fake_lane, fake_session

ERROR = ("reconstruction_error",)


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    return ModelVersion.open(folders.write_version(tmp_path_factory.mktemp("models")))


@pytest.mark.parametrize("has_graphs", [True, False])
def test_every_batch_size_gives_the_scores_of_the_formula_and_no_row_of_padding(
    version: ModelVersion, has_graphs: bool
) -> None:
    lane = fake_lane(version, max_rows=6, has_graphs=has_graphs)
    lane.prove(version)
    for n_rows in range(1, 15):
        windows = folders.random_windows(n_rows, seed=n_rows)
        results, expected = lane.run(windows, DEFAULT_OUTPUTS), folders.expected_outputs(windows)
        assert tuple(results) == DEFAULT_OUTPUTS
        for name in DEFAULT_OUTPUTS:
            assert results[name].dtype == expected[name].dtype
            np.testing.assert_allclose(results[name], expected[name], rtol=1e-5)


def test_a_rows_score_does_not_depend_on_what_lay_beside_it_or_before_it(version: ModelVersion) -> None:
    lane = fake_lane(version)
    lane.prove(version)
    row = folders.random_windows(1, seed=1)
    extreme = np.full_like(row, 3e38)
    alone = {}
    for n_rows in (1, 2, 3, 5, 8):
        lane.run(np.repeat(extreme, 8, axis=0), DEFAULT_OUTPUTS)
        tame = lane.run(np.concatenate([row, folders.random_windows(n_rows - 1, seed=2)]), ERROR)[ERROR[0]][0]
        wild = lane.run(np.concatenate([row, np.repeat(extreme, n_rows - 1, axis=0)]), ERROR)[ERROR[0]][0]
        assert np.isfinite(tame)
        assert tame == wild
        alone[n_rows] = tame
    np.testing.assert_allclose(list(alone.values()), alone[1], rtol=1e-6)


def test_results_stay_as_they_are_when_the_buffers_are_used_again(version: ModelVersion) -> None:
    lane = fake_lane(version)
    windows = folders.random_windows(3, seed=3)
    lane.prove(version)
    first = lane.run(windows, DEFAULT_OUTPUTS)
    before = {name: array.copy() for name, array in first.items()}
    lane.run(windows * 2, DEFAULT_OUTPUTS)
    for name, array in first.items():
        np.testing.assert_array_equal(array, before[name])


def test_each_bucket_is_captured_once_when_it_is_proven_and_replayed_from_then_on(version: ModelVersion) -> None:
    session = fake_session(version)
    lane = fake_lane(version, bound=session)
    lane.prove(version)
    assert session.captures == {"1": 1, "2": 1, "4": 1, "8": 1}
    session.replays.clear()
    for n_rows in (1, 2, 3, 4, 5, 8, 9):
        lane.run(folders.random_windows(n_rows), DEFAULT_OUTPUTS)
    assert session.replays == {"1": 2, "2": 1, "4": 2, "8": 3}
    assert sum(session.captures.values()) == 4
    assert session.n_plain == 0


def test_without_graphs_the_same_buffers_are_used_and_nothing_is_captured(version: ModelVersion) -> None:
    session = fake_session(version)
    lane = fake_lane(version, bound=session, has_graphs=False)
    lane.prove(version)
    lane.run(folders.random_windows(3), DEFAULT_OUTPUTS)
    assert not session.captures
    assert session.n_bound
    assert session.n_plain == 0


def test_other_lengths_and_other_outputs_are_computed_without_a_graph(version: ModelVersion) -> None:
    session = fake_session(version)
    lane = fake_lane(version, bound=session)
    lane.prove(version)
    n_bound, plain = session.n_bound, lane._plain
    for windows, names in (
        (folders.random_windows(3, length=9), DEFAULT_OUTPUTS),
        (folders.random_windows(3), ("feature_error", "is_anomaly")),
        (folders.random_windows(20), ("step_error",)),
    ):
        results = lane.run(windows, names)
        for name in names:
            np.testing.assert_allclose(results[name], folders.expected_outputs(windows)[name], rtol=1e-5)
    assert plain.n_plain == 5  # twenty rows are three parts
    assert session.n_bound == n_bound


def test_a_graph_that_does_not_read_new_inputs_is_found_before_it_scores(version: ModelVersion) -> None:
    with pytest.raises(BackendError, match=r"a batch of 8 golden windows on the GPU: .* is off by"):
        fake_lane(version, bound=fake_session(version, is_stale=True)).prove(version)


def test_sessions_on_a_gpu_that_broke_are_kept_for_to_free_them_would_end_the_process(
    version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = fake_lane(version)
    lane.prove(version)
    sessions = [weakref.ref(lane._bound), weakref.ref(lane._plain)]

    def broken() -> None:
        raise BackendError("cuStreamSynchronize: CUDA error 700: an illegal memory access was encountered")

    monkeypatch.setattr(lane._stream, "wait", broken)
    with pytest.raises(BackendError, match="CUDA error 700"):
        lane.close()
    del lane
    gc.collect()
    assert all(session() is not None for session in sessions)


def test_sessions_of_a_closed_lane_are_freed(version: ModelVersion) -> None:
    lane = fake_lane(version)
    lane.prove(version)
    sessions = [weakref.ref(lane._bound), weakref.ref(lane._plain)]
    lane.close()
    gc.collect()
    assert all(session() is None for session in sessions)


def test_a_session_that_misses_the_golden_outputs_is_found(tmp_path: Path, version: ModelVersion) -> None:
    other = ModelVersion.open(folders.write_version(tmp_path, onnx=folders.onnx_bytes(threshold=2.0)))
    with pytest.raises(BackendError, match=r"anomaly_score is off by|is_anomaly is off by"):
        fake_lane(version, bound=fake_session(other), has_graphs=False).prove(version)
