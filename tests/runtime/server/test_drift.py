"""Drift: the two statistics, the sample they are taken from, and the way to the metrics."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from scipy.stats import ks_2samp

from offbeat.bundle import ModelVersion
from offbeat.provenance import NormalQuantiles
from offbeat.server.telemetry.drift import MIN_WINDOWS, Reference, drift, ks, psi
from offbeat.server.telemetry.recent_windows import RecentWindows
from tests.runtime.folders import MEAN, SCALE, expected_outputs, make_manifest, random_windows, write_version

from .calls import score, score_request
from .live import Serve
from .metrics_port import samples

NORMAL = np.sort(np.random.default_rng(1).standard_normal(2000).astype(np.float32))


def reference(n_features: int = 2) -> Reference:
    windows = random_windows(16)
    return Reference(
        feature_names=("pressure", "flow"),
        n_windows=16,
        features=tuple(np.sort(windows[..., number].ravel()) for number in range(n_features)),
        scores=np.sort(expected_outputs(windows)["anomaly_score"].astype(np.float32)),
        mean=tuple(MEAN.tolist()),
        scale=tuple(SCALE.tolist()),
    )


@pytest.mark.parametrize("shift", [0.0, 0.3, 2.0])
def test_the_kolmogorov_smirnov_statistic_is_scipys(shift: float) -> None:
    recent = np.sort(np.random.default_rng(2).standard_normal(300).astype(np.float32) + np.float32(shift))
    assert ks(NORMAL, recent) == pytest.approx(ks_2samp(NORMAL, recent).statistic, abs=1e-12)
    tied = np.sort(np.round(recent))
    assert ks(NORMAL, tied) == pytest.approx(ks_2samp(NORMAL, tied).statistic, abs=1e-12)


def test_the_population_stability_index_follows_its_formula() -> None:
    before, now = np.arange(10, dtype=np.float32), np.array([0, 1, 2, 3, 4, 4, 4, 9], np.float32)
    # Two bins, up to 4.5 and beyond, each with half a value more than it has.
    p, q = np.array([5.5, 5.5]) / 11, np.array([7.5, 1.5]) / 9
    assert psi(before, now) == pytest.approx(float(np.sum((q - p) * np.log(q / p))), rel=1e-9)


def test_the_index_is_small_for_the_same_distribution_and_grows_with_the_shift() -> None:
    shifted = [psi(NORMAL, np.sort(np.roll(NORMAL, 7)[::4] + np.float32(shift))) for shift in (0.0, 0.5, 1.0, 3.0)]
    assert shifted[0] < 0.02
    assert shifted == sorted(shifted)
    assert shifted[2] > 0.25


def test_a_constant_feature_has_a_finite_index() -> None:
    constant = np.full(100, 3.0, np.float32)
    assert psi(constant, constant) < 0.01
    assert np.isfinite(psi(constant, constant + 1))
    assert ks(constant, constant + 1) == 1


def test_of_too_few_windows_nothing_is_said() -> None:
    windows = list(random_windows(MIN_WINDOWS))
    scores = expected_outputs(np.stack(windows))["anomaly_score"].astype(np.float32)
    assert drift(reference(), windows[1:], scores[1:]) is None
    assert drift(reference(), windows, scores) is not None


def test_one_feature_that_drifts_is_told_from_one_that_does_not() -> None:
    windows = random_windows(200, seed=5)
    windows[..., 1] += 3 * SCALE[1]
    scores = expected_outputs(windows)["anomaly_score"].astype(np.float32)
    found = drift(reference(), list(windows), scores)
    assert found is not None
    assert found.features["pressure"].psi < 0.25 < 1 < found.features["flow"].psi
    assert found.features["pressure"].ks < 0.25 < 0.6 < found.features["flow"].ks
    assert abs(found.features["pressure"].mean_shift) < 0.2
    assert found.features["flow"].mean_shift == pytest.approx(3, abs=0.2)
    assert found.scores.ks > 0.6


def test_the_sample_is_bounded_in_rate_number_and_age() -> None:
    recent = RecentWindows(6, 2)
    windows, scores = random_windows(3), np.array([0.1, 0.2, 0.3], np.float32)
    now = 0.0
    for _ in range(3000):
        now += 0.1
        if now >= recent.next_at:
            recent.take(windows, scores, now)
    assert 900 <= len(recent.since(now)) <= 1024
    assert [round(window.score, 1) for window in recent.since(now)[-3:]] in (
        [0.1, 0.2, 0.3],
        [0.2, 0.3, 0.1],
        [0.3, 0.1, 0.2],
    )
    assert recent.since(now + 3601) == []


def test_the_sample_keeps_copies_and_of_long_windows_the_trained_length() -> None:
    recent = RecentWindows(6, 2)
    windows = random_windows(1, length=500)
    recent.take(windows, np.array([0.5], np.float32), 1.0)
    [kept] = recent.since(1.0)
    assert kept.window.base is None
    np.testing.assert_array_equal(kept.window, windows[0, :6])


def test_large_windows_take_no_more_than_their_share_of_memory() -> None:
    recent = RecentWindows(1000, 100)
    for now in range(100):
        recent.take(np.zeros((1, 1000, 100), np.float32), np.zeros(1, np.float32), float(now))
    assert len(recent.since(100.0)) == 16


def test_a_server_tells_the_drift_of_what_it_scores(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offbeat.server.telemetry.recent_windows._INTERVAL_S", 0.0)
    write_version(tmp_path)
    server = serve(path=tmp_path, metrics_port=0)
    assert samples(server, "offbeat_input_drift_psi") == []
    for number in range(MIN_WINDOWS):
        score(server.channel, score_request(random_windows(1, seed=number) + SCALE * np.float32([0, 4])))
    assert samples(server, "offbeat_drift_recent_windows", model="level") == [MIN_WINDOWS]
    assert samples(server, "offbeat_drift_reference_windows", model="level") == [4]
    [pressure] = samples(server, "offbeat_input_mean_shift", feature="pressure")
    [flow] = samples(server, "offbeat_input_mean_shift", feature="flow")
    assert abs(pressure) < 0.5
    assert flow == pytest.approx(4, abs=0.5)
    assert samples(server, "offbeat_input_drift_ks", feature="flow")[0] > 0.6
    assert samples(server, "offbeat_score_drift_ks")[0] > 0.4


def test_the_reference_is_the_first_half_of_the_golden_windows(tmp_path: Path) -> None:
    folder = ModelVersion.open(write_version(tmp_path))
    golden = folder.golden()
    found = Reference.of(golden, make_manifest({}))
    assert found.n_windows == 4
    np.testing.assert_array_equal(found.features[1], np.sort(golden.window[:4, :, 1].ravel()))


def test_quantiles_of_the_training_data_are_the_reference_where_there_are_any(tmp_path: Path) -> None:
    golden = ModelVersion.open(write_version(tmp_path)).golden()
    without = make_manifest({})
    values = np.random.default_rng(3).gamma(2.0, size=(100_000, 2)).astype(np.float32)
    errors = values[:, 0] * without.threshold.value
    places = np.linspace(0, 1, 41)
    normal = NormalQuantiles(
        n_windows=1234,
        features=tuple(tuple(np.quantile(values[:, n], places).tolist()) for n in range(2)),
        errors=tuple(np.quantile(errors, places).tolist()),
    )
    training = msgspec.structs.replace(without.training, normal=normal)
    found = Reference.of(golden, msgspec.structs.replace(without, training=training))
    assert found.n_windows == 1234
    for sample in found.features:
        assert ks(sample, np.sort(values[:, 0])) < 0.03
        assert psi(sample, np.sort(values[:5000, 0])) < 0.02
    scores = np.sort(np.clip(errors / (2 * without.threshold.value), 0, 1).astype(np.float32))
    assert ks(found.scores, scores) < 0.03
    assert ks(found.scores, scores * np.float32(0.8)) > 0.08, "what sixteen windows could not tell"
