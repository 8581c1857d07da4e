from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from offbeat.client import Points
from offbeat.errors import BackendError, ConfigurationError, InvalidWindowError, PreconditionError, UnknownModelError
from offbeat.series_config import SeriesConfig
from tests.runtime.folders import LENGTH, expected_outputs, random_windows

from ..server.fakes import FailingBackend, make_scorer
from ..server.live import Serve
from .both import Connect

VALUES = random_windows(1, 4 * LENGTH)[0]


def test_rows_of_many_series_come_back_as_scores_of_their_windows(serve: Serve, connect: Connect) -> None:
    client = connect(serve(make_scorer(), series=SeriesConfig(out_of_order="drop")).target)
    pieces = [
        Points(series="a", values=VALUES[:LENGTH], timestamps=range(LENGTH)),
        Points(series=["b", "a"], values=VALUES[LENGTH : LENGTH + 2], timestamps=[1, LENGTH]),
        Points(series="a", values=VALUES[:1], timestamps=[0]),
    ]
    results, error = client.points(pieces, model="level")
    assert error is None
    assert [result.points for result in results] == pieces
    assert [result.rows.tolist() for result in results] == [[LENGTH - 1], [1], []]
    assert [result.series for result in results] == [["a"], ["a"], []]
    assert [result.n_started for result in results] == [1, 1, 0]
    assert [result.dropped.tolist() for result in results] == [[], [], [0]]
    scores, alarm = results[1].scores, results[1].alarm
    assert scores is not None
    assert alarm is not None
    assert results[2].scores is None
    window = np.vstack([VALUES[1:LENGTH], VALUES[LENGTH + 1]])
    np.testing.assert_array_equal(scores.reconstruction_error, expected_outputs(window[None])["reconstruction_error"])
    assert alarm.tolist() == scores.is_anomaly.tolist()
    assert scores.backend == "numpy (test)"


def test_times_of_a_calendar_travel_as_nanoseconds(serve: Serve, connect: Connect) -> None:
    client = connect(serve(make_scorer()).target)
    times = np.array(["2026-01-01T00:00:01", "2026-01-01T00:00:00"], "datetime64[s]")
    _, error = client.points([Points(series="a", values=VALUES[:2], timestamps=times)], model="level")
    assert isinstance(error, InvalidWindowError)
    assert "has timestamp 1767225600000000000" in str(error)


@pytest.mark.parametrize(
    ("timestamps", "told"),
    [
        (np.array(["9999-12-31"], "datetime64[D]"), "a timestamp is 9999-12-31; expected 1678 to 2261"),
        (np.array([2**63], "u8"), "a timestamp is 9223372036854775808; expected at most 9223372036854775807"),
    ],
)
def test_a_time_that_64_bits_do_not_hold_is_refused_and_not_another_time(
    serve: Serve, connect: Connect, timestamps: NDArray[np.generic], told: str
) -> None:
    client = connect(serve(make_scorer()).target)
    _, error = client.points([Points(series="a", values=VALUES[:1], timestamps=timestamps)], model="level")
    assert isinstance(error, InvalidWindowError)
    assert told in str(error)


def test_a_stream_ends_with_the_first_request_that_is_refused(serve: Serve, connect: Connect) -> None:
    client = connect(serve(make_scorer(FailingBackend(99.0, RuntimeError("no")))).target)
    pieces = [Points(series="a", values=VALUES[:LENGTH]), Points(series="a", values=[[99.0, 99.0]])]
    results, error = client.points(pieces, model="level")
    assert len(results) == 1
    assert isinstance(error, BackendError)
    assert "the rows are remembered" in str(error)


def test_what_raises_while_rows_are_made_is_raised_where_results_are_taken(serve: Serve, connect: Connect) -> None:
    def broken() -> Iterator[Points]:
        yield Points(series="a", values=VALUES[:1])
        raise KeyError("the source")

    results, error = connect(serve(make_scorer()).target).points(broken(), model="level")
    assert (len(results), type(error)) == (1, KeyError)


@pytest.mark.parametrize(
    ("points", "arguments", "kind"),
    [
        (Points(series="a", values=VALUES[0]), {}, InvalidWindowError),
        (Points(series="a", values=VALUES[:1], timestamps=[0.5]), {}, InvalidWindowError),
        (Points(series="a", values=VALUES[:1], timestamps=[np.datetime64("NaT")]), {}, InvalidWindowError),
        (Points(series="a", values=VALUES[:1]), {"stride": 0}, ConfigurationError),
        (Points(series="a", values=VALUES[:1]), {"model": "absent"}, UnknownModelError),
    ],
)
def test_what_cannot_be_asked_is_told(
    serve: Serve, connect: Connect, points: Points, arguments: dict[str, object], kind: type[Exception]
) -> None:
    _, error = connect(serve(make_scorer()).target).points([points], **{"model": "level", **arguments})
    assert isinstance(error, kind)


def test_series_are_reset_and_written_on_request(serve: Serve, connect: Connect, tmp_path: object) -> None:
    client = connect(serve(make_scorer(), series=SeriesConfig(state_dir=tmp_path)).target)  # type: ignore[arg-type]
    client.points([Points(series=["a", "b"], values=VALUES[:2])], model="level")
    assert client.snapshot_series() == 2
    assert client.reset_series(["a"], model="level") == 1
    assert client.reset_series(model="level") == 1
    assert client.snapshot_series() == 0
    with pytest.raises(UnknownModelError):
        client.reset_series(model="absent")
    with pytest.raises(PreconditionError, match="in memory alone; expected a server that was started with --state-dir"):
        connect(serve(make_scorer()).target).snapshot_series()
