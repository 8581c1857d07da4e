from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from offbeat.errors import DataError
from offbeat_training.report import prepare, write_html
from offbeat_training.report.page import html_page
from tests.training.report.hostile import NAMES, SCRIPT, hostile_inputs
from tests.training.report.samples import series_inputs


class Elements(HTMLParser):
    """Every start tag with its attributes, and all text outside scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] not in ("script", "style"):
            self.text.append(data)


def test_the_page_asks_for_nothing_outside_itself() -> None:
    elements = Elements(html_page(prepare(hostile_inputs())))
    for tag, attributes in elements.tags:
        assert tag not in ("link", "img", "iframe", "object", "embed", "a")
        assert not {"src", "href", "srcset", "data", "onerror", "onload"} & set(attributes)


def test_the_page_forbids_the_browser_to_ask_or_to_run_anything_else() -> None:
    tags = Elements(html_page(prepare(series_inputs()))).tags
    policy = next(attributes["content"] for tag, attributes in tags if "http-equiv" in attributes)
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "http" not in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]


def test_plotly_is_embedded_once_and_draws_every_pane() -> None:
    report = prepare(series_inputs())
    page = html_page(report)
    assert page.count("* plotly.js v") == 1
    figures = re.findall(r'<script type="application/json" id="([a-z-]+)-data">(.*?)</script>', page, re.DOTALL)
    assert [name for name, _ in figures] == [chart.name for chart in report.charts]
    for name, text in figures:
        assert json.loads(text)["data"]
        assert f'class="figure" id="{name}"' in page


def test_a_name_from_the_data_stays_a_name() -> None:
    page = html_page(prepare(hostile_inputs()))
    elements = Elements(page)
    assert SCRIPT not in page
    assert sum(tag == "script" for tag, _ in elements.tags) == 7 + 2
    for name in (SCRIPT, NAMES[1]):
        assert name in elements.text
    figures = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    for text in figures:
        assert "<" not in text
        # Plotly reads its texts as HTML of a kind: after JSON they must still be escaped.
        assert not re.search(r"<(?!br>|/?extra>)", str(json.loads(text)))


def test_title_facts_tables_and_what_is_left_out_are_plain_words_of_the_page() -> None:
    page = html_page(prepare(series_inputs()))
    words = Elements(page).text
    for expected in ("Report of scores.csv", "server-metrics", "VUS-PR", "random scores", "PCA", "model", "threshold"):
        assert expected in words
    assert "Left out" not in page


def test_a_report_on_100_000_rows_stays_small() -> None:
    page = html_page(prepare(series_inputs(100_000)))
    without_plotly = len(page) - 4_800_000
    assert without_plotly < 2_500_000


def test_a_page_that_cannot_be_written_is_an_error_naming_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent"):
        write_html(prepare(series_inputs(200)), tmp_path / "absent" / "report.html")
