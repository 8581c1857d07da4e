from __future__ import annotations

import pytest

from offbeat.cli.explanation import explain
from offbeat.errors import DataError
from offbeat.telling import in_lines, in_one_line, listed


def test_what_is_no_character_to_see_is_escaped_and_the_rest_stays() -> None:
    assert in_one_line("Temperatur °C\x1b[31m\r\n\x9b\u202e\udc80") == r"Temperatur °C\x1b[31m\r\n\x9b\u202e\udc80"
    assert in_lines("a\x07\nb\r") == "a\\x07\nb\\r"


def test_few_names_are_listed_whole_and_many_by_the_first_of_them() -> None:
    assert listed(["cpu", "memory"]) == "cpu, memory"
    assert listed([]) == ""
    assert listed([str(each) for each in range(5000)]).endswith("18, 19, … (5,000 in all)")
    assert len(listed(["name" * 10_000] * 5000)) < 2000


def test_an_error_in_the_terminal_steers_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    explain(DataError("e.csv: no column 'cpu'; it has a\x1b[31mb, c"))
    assert capsys.readouterr().err == "error: e.csv: no column 'cpu'; it has a\\x1b[31mb, c\n"


def test_a_name_that_is_listed_begins_no_line_of_its_own_and_steers_no_terminal() -> None:
    assert listed(["a", "b\nok  everything\x1b[31m"]) == r"a, b\nok  everything\x1b[31m"
