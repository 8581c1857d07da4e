"""The page in a real browser, where there is one."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from offbeat_training.report import ReportInputs, prepare, write_html
from tests.training.report.hostile import SCRIPT, hostile_inputs
from tests.training.report.samples import series_inputs

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium to open the page with")


def opened(inputs: ReportInputs, folder: Path) -> tuple[str, list[str]]:
    """The page as the browser made it, and what it had to say."""
    write_html(prepare(inputs), folder / "report.html")
    command = [
        str(CHROMIUM), *QUIET, f"--user-data-dir={folder / 'profile'}", "--window-size=1400,6000",
        "--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom", f"file://{folder / 'report.html'}",
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    body = re.sub(r"<script.*?</script>", "", ended.stdout, flags=re.DOTALL)
    return body, [line for line in ended.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module")
def long_series(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    return opened(series_inputs(100_000), tmp_path_factory.mktemp("long"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    return opened(hostile_inputs(), tmp_path_factory.mktemp("hostile"))


def test_a_browser_draws_every_pane_without_a_complaint(long_series: tuple[str, list[str]]) -> None:
    body, complaints = long_series
    assert complaints == []
    for name in ("series", "reconstruction", "errors", "confusion", "roc", "precision-recall", "training"):
        pane = body.split(f'id="{name}"', 1)[1].split("</section>")[0]
        assert 'class="main-svg"' in pane
    series = body.split('id="series"', 1)[1].split("</section>")[0]
    assert series.count('class="js-line"') >= 8
    assert 'class="hm"' in series


def test_the_browser_offers_to_send_nothing_away(long_series: tuple[str, list[str]]) -> None:
    body, _ = long_series
    assert "modebar-btn" in body
    assert not re.search(r"https?://(?!www\.w3\.org/)", body)
    assert not re.search('data-title="[^"]*(cloud|share|edit|plotly)', body, re.IGNORECASE)


def test_a_feature_named_like_a_script_is_shown_and_does_not_run(hostile: tuple[str, list[str]]) -> None:
    body, complaints = hostile
    assert complaints == []
    title = re.search(r"<title>(.*?)</title>", body)
    assert title is not None
    assert title[1] == SCRIPT.replace("<", "&lt;").replace(">", "&gt;")
    assert "<img" not in body
    assert "javascript:" not in re.sub(r">[^<]*<|data-unformatted=\"[^\"]*\"", "><", body)
    # Shown as text by plotly too, as the title of a panel.
    assert SCRIPT.replace("<", "&lt;").replace(">", "&gt;") in body.split('id="series"', 1)[1]
