from __future__ import annotations

import numpy as np
import pytest

from offbeat_training.report.timeline import Timeline


def test_times_become_milliseconds_since_1970() -> None:
    timeline = Timeline.of(np.array(["1970-01-01 00:00:01", "1970-01-01 00:00:02"]), 2, "row")
    assert timeline.x.tolist() == [1000.0, 2000.0]
    assert timeline.edges.tolist() == [500.0, 1500.0, 2500.0]
    assert (timeline.scale, timeline.title) == ("time", "")


def test_times_with_a_zone_are_shown_in_utc_and_say_so() -> None:
    timeline = Timeline.of(np.array(["1970-01-01T01:00:00+01:00", "1970-01-01T01:00:01+01:00"]), 2, "row")
    assert timeline.x.tolist() == [0.0, 1000.0]
    assert timeline.title == "UTC"


def test_times_that_are_numbers_stay_numbers() -> None:
    timeline = Timeline.of(np.array(["10", "20", "25"]), 3, "row")
    assert (timeline.x.tolist(), timeline.scale) == ([10.0, 20.0, 25.0], "linear")


@pytest.mark.parametrize("timestamps", [None, ["noon", "night"], ["2024-01-02", "2024-01-01"], ["5", "5"]])
def test_without_times_that_ascend_the_lines_are_counted(timestamps: list[str] | None) -> None:
    timeline = Timeline.of(None if timestamps is None else np.array(timestamps), 2, "window")
    assert (timeline.x.tolist(), timeline.title) == ([0.0, 1.0], "window")


def test_one_row_is_a_timeline_too() -> None:
    assert Timeline.of(None, 1, "row").edges.tolist() == [-0.5, 0.5]


def test_a_band_lies_over_each_run() -> None:
    rows = np.array([True, True, False, False, True])
    area = Timeline.of(None, 5, "row").bands("true", rows, (0.0, 2.0), "red")
    assert area.x[:5].tolist() == [-0.5, -0.5, 1.5, 1.5, -0.5]
    assert area.y[:5].tolist() == [0.0, 2.0, 2.0, 0.0, 0.0]
    assert np.isnan(area.x[5])
    assert area.x.size == 12


def test_no_run_is_no_band() -> None:
    assert Timeline.of(None, 5, "row").bands("true", np.zeros(5, dtype=np.bool_), (0, 1), "red").x.size == 0


def test_a_single_row_of_many_is_still_seen_and_many_of_them_are_few_bands() -> None:
    timeline = Timeline.of(None, 100_000, "row")
    one, many = np.zeros(100_000, dtype=np.bool_), np.zeros(100_000, dtype=np.bool_)
    one[500], many[::2] = True, True
    x = timeline.bands("found", one, (0, 1), "red").x
    assert np.nanmax(x) - np.nanmin(x) == pytest.approx(100)
    assert timeline.bands("found", many, (0, 1), "red").x.size == 6
