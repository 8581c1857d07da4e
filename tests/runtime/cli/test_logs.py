from __future__ import annotations

import json
import logging
import sys
from datetime import datetime

import pytest

from offbeat.cli.logs import JsonFormatter, TextFormatter
from offbeat.errors import InvalidWindowError
from offbeat.server.telemetry.incident import incident
from offbeat.server.telemetry.refusals import RefusalLog


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [json.loads(JsonFormatter().format(record)) for record in caplog.records]


def test_a_line_is_one_json_object_whatever_the_message_holds() -> None:
    record = logging.LogRecord("offbeat.server", logging.INFO, __file__, 1, 'a "%s"\nb \udc80', ("x",), None)
    text = JsonFormatter().format(record)
    assert "\n" not in text
    line = json.loads(text)
    assert (line["level"], line["logger"], line["message"]) == ("INFO", "offbeat.server", 'a "x"\nb \udc80')
    assert datetime.fromisoformat(line["time"]).tzinfo is not None


def test_refusals_are_counted_by_kind_in_a_field(caplog: pytest.LogCaptureFixture) -> None:
    RefusalLog().record(InvalidWindowError("wrong shape"))
    [line] = lines(caplog)
    assert line["refused"] == {"InvalidWindowError": 1}
    assert line["level"] == "WARNING"


def test_an_incident_has_its_number_in_a_field_and_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise RuntimeError("engine broke")
    except RuntimeError:
        error = incident("model 'm'", sys.exc_info()[1] or RuntimeError())
    [line] = lines(caplog)
    assert str(line["incident"]) in str(error)
    assert "engine broke" in str(line["trace"])


def test_a_line_for_people_shows_no_control_characters_and_forges_no_other_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    RefusalLog().record(
        InvalidWindowError("output '\x1b]0;title\x07\x9b31m'\n2026-01-01 00:00:00 INFO offbeat: \u202eall is well")
    )
    [record] = caplog.records
    first, second = TextFormatter().format(record).split("\n")
    assert (first + second).isprintable()
    assert r"\x1b]0;title\x07\x9b31m" in first
    assert second.startswith("    ")


def test_a_trace_in_a_line_for_people_shows_no_control_characters(caplog: pytest.LogCaptureFixture) -> None:
    incident("model 'm'", RuntimeError("broke at \x1b[31m"))
    [record] = caplog.records
    assert r"RuntimeError: broke at \x1b[31m" in TextFormatter().format(record)
