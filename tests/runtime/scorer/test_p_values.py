from __future__ import annotations

import msgspec
import numpy as np
import pytest

from offbeat.conformal import Calibration, conformal_p_values
from offbeat.errors import InvalidWindowError
from offbeat.result import DEFAULT_OUTPUTS, Threshold
from offbeat.scorer import Scorer
from tests.runtime.folders import THRESHOLD, expected_outputs, make_manifest, random_windows
from tests.runtime.server.fakes import NumpyBackend, make_scorer

CALIBRATION_ERRORS = expected_outputs(random_windows(99, seed=5))["reconstruction_error"]


def conformal_scorer() -> Scorer:
    calibration = Calibration.of(CALIBRATION_ERRORS, kept_rank=1)
    threshold = Threshold(
        value=THRESHOLD, method="conformal", n_windows=99, false_alarm_rate=0.05, calibration=calibration
    )
    return Scorer(msgspec.structs.replace(make_manifest({}), threshold=threshold), NumpyBackend())


@pytest.mark.parametrize("outputs", [("p_value",), ("p_value", "is_anomaly"), (*DEFAULT_OUTPUTS, "p_value")])
def test_a_p_value_follows_from_the_error_and_only_what_was_asked_for_comes(outputs: tuple[str, ...]) -> None:
    windows = random_windows(700)
    result = conformal_scorer().score(windows, outputs)
    assert set(result.arrays()) == set(outputs)
    errors = expected_outputs(windows)["reconstruction_error"]
    assert result.p_value is not None
    assert result.p_value.dtype == np.float32
    np.testing.assert_array_equal(result.p_value, conformal_p_values(CALIBRATION_ERRORS, errors).astype(np.float32))


def test_a_model_without_calibration_errors_has_no_p_value_and_says_why() -> None:
    with pytest.raises(InvalidWindowError, match="chosen by 'fixed' and has no calibration errors"):
        make_scorer().score(random_windows(1), ("p_value",))
