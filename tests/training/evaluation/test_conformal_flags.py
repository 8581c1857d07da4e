from __future__ import annotations

import numpy as np
import pytest

from offbeat.errors import DataError
from offbeat_training.evaluation.conformal_flags import conformal_flags


def test_the_rate_realised_on_normal_lines_is_the_nominal_one() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(100_000) % 10 == 0
    one, five = conformal_flags(labels, random.gamma(2, size=100_000) + 20 * labels, random.gamma(2, size=50_000))
    assert (one.rate, five.rate, one.n_calibration) == (0.01, 0.05, 50_000)
    assert one.false_positive_rate == pytest.approx(0.01, rel=0.2)
    assert five.false_positive_rate == pytest.approx(0.05, rel=0.2)
    assert one.recall == five.recall == 1.0


def test_a_rate_that_so_few_calibration_errors_cannot_show_flags_nothing() -> None:
    one, five = conformal_flags(np.array([True, False]), np.array([9.0, 0.0]), np.arange(1.0, 5.0).repeat(10))
    assert (one.recall, one.false_positive_rate) == (0.0, 0.0)
    assert (five.recall, five.false_positive_rate) == (1.0, 0.0)


def test_calibration_errors_that_are_not_there_or_not_finite_are_an_error() -> None:
    for calibration in ([], [np.nan], [np.inf]):
        with pytest.raises(DataError, match="calibration errors"):
            conformal_flags(np.array([True, False]), np.array([9.0, 0.0]), np.array(calibration))
