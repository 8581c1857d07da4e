from __future__ import annotations

import logging
import re

import pytest

from offbeat.server.telemetry.incident import Incidents, incident


def test_the_same_failure_within_a_second_is_one_incident_and_the_next_one_tells_how_many_there_were() -> None:
    known, error = Incidents(), RuntimeError("device lost")
    number, told = known.number("model 'a'", error, 100.0)
    assert told == "model 'a' failed"
    again = [known.number("model 'a'", RuntimeError("device lost"), 100.0 + 0.01 * each) for each in range(50)]
    assert again == [(number, None)] * 50
    later, told = known.number("model 'a'", error, 101.5)
    assert later != number
    assert told == f"model 'a' failed; 50 times more as incident {number}"
    assert known.number("model 'a'", error, 103.0)[1] == "model 'a' failed"


def test_other_words_another_kind_or_another_place_are_an_incident_of_their_own() -> None:
    known = Incidents()
    failures = [
        ("model 'a'", RuntimeError("device lost")),
        ("model 'a'", RuntimeError("out of memory")),
        ("model 'a'", ValueError("device lost")),
        ("model 'b'", RuntimeError("device lost")),
    ]
    assert len({known.number(where, error, 100.0)[0] for where, error in failures}) == 4


def test_nothing_is_kept_of_failures_that_are_over() -> None:
    known = Incidents()
    for number in range(1000):
        known.number("a request", RuntimeError(f"{number}"), 100.0 + 2 * number)
    assert len(known._recent) == 1


def test_the_log_has_the_number_that_the_caller_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offbeat.server.telemetry.incident._SAME_S", 600.0)
    with caplog.at_level(logging.ERROR, "offbeat.server"):
        told = {str(incident("the engine", RuntimeError("broken"))) for _ in range(100)}
    [record] = caplog.records
    [number] = {found[1] for found in map(re.compile(r"incident ([0-9a-f]{8})$").search, told) if found}
    assert record.getMessage() == f"incident {number}: the engine failed"
    assert record.exc_info is not None
    assert record.incident == number  # type: ignore[attr-defined]
