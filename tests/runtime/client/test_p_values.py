from __future__ import annotations

import numpy as np
import pytest

from offbeat.errors import InvalidWindowError
from tests.runtime.folders import random_windows
from tests.runtime.scorer.test_p_values import conformal_scorer

from ..server.fakes import make_scorer
from ..server.live import Serve
from .both import Connect


def test_p_values_over_the_wire_are_those_in_process(serve: Serve, connect: Connect) -> None:
    scorer, windows = conformal_scorer(), random_windows(5)
    client = connect(serve(scorer).target)
    expected = scorer.score(windows, ("p_value",)).p_value
    for result in (
        client.score(windows, model="level", outputs=("is_anomaly", "p_value")),
        client.stream([windows], model="level", outputs=("is_anomaly", "p_value"))[0][0],
    ):
        assert set(result.arrays()) == {"is_anomaly", "p_value"}
        np.testing.assert_array_equal(result.p_value, expected)
    assert client.get_model("level").threshold.calibration == scorer.manifest.threshold.calibration


def test_a_served_model_without_calibration_errors_refuses_with_the_reason(serve: Serve, connect: Connect) -> None:
    with pytest.raises(InvalidWindowError, match="chosen by 'fixed' and has no calibration errors"):
        connect(serve(make_scorer()).target).score(random_windows(1), model="level", outputs=("p_value",))
