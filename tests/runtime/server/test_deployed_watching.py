"""The dashboard, the alert rules and the documentation against what a server really exports."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from offbeat.security_config import SecurityConfig
from offbeat.series_config import SeriesConfig
from offbeat.server.rpc.status import STATUS
from offbeat.server.telemetry.drift import MIN_WINDOWS
from tests.runtime.authority import Authority, needs_openssl
from tests.runtime.folders import random_windows, write_version

from .calls import infer, infer_request, score, score_request
from .fakes import make_scorer
from .live import Loop, serving
from .metrics_port import scrape
from .points import Feed, points_request

pytestmark = needs_openssl
ROOT = Path(__file__).parents[3]
# What Prometheus adds to everything it scrapes.
ADDED = {"instance", "job"}
NAME = re.compile(r"\b(?:offbeat|process)_[a-z0-9_]+")


@pytest.fixture(scope="module")
def exported(loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Labels by sample of a server that has something to tell of everything."""
    pair = Authority(tmp_path_factory.mktemp("authority")).issue("server")
    repository = tmp_path_factory.mktemp("models")
    write_version(repository)
    with serving(loop) as serve, pytest.MonkeyPatch.context() as patch:
        patch.setattr("offbeat.server.telemetry.recent_windows._INTERVAL_S", 0.0)
        state = SeriesConfig(state_dir=tmp_path_factory.mktemp("state"))
        server = serve(path=repository, metrics_port=0, series=state)
        for _ in range(MIN_WINDOWS):
            score(server.channel, score_request(random_windows(1)))
        infer(server.channel, infer_request(np.asarray(random_windows(2))))
        feed = Feed(server.channel)
        feed.scores(points_request("pump", random_windows(1)[0]))
        feed.close()
        found: dict[str, set[str]] = {}
        for each in (
            server,
            serve(make_scorer(), metrics_port=0, security=SecurityConfig(tls_cert=pair[0], tls_key=pair[1])),
        ):
            for family in scrape(each).values():
                for sample in family.samples:
                    found.setdefault(sample.name, set()).update(sample.labels)
    return found


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "deploy/grafana/offbeat.json").read_text())
    return loaded


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def targets() -> list[dict[str, str]]:
    return [target for panel in dashboard()["panels"] for target in panel.get("targets", [])]


def expressions() -> list[tuple[str, str]]:
    """Every expression, and the words that show its labels."""
    return [(target["expr"], target["legendFormat"]) for target in targets()] + [
        (rule["expr"], " ".join(rule["annotations"].values())) for rule in rules()
    ]


@pytest.mark.parametrize(("expression", "words"), expressions())
def test_an_expression_asks_for_metrics_and_labels_that_exist(
    exported: dict[str, set[str]], expression: str, words: str
) -> None:
    names = set(NAME.findall(expression))
    assert names
    assert names <= set(exported)
    for name, selector in re.findall(r"\b((?:offbeat|process)_[a-z0-9_]+)\{([^}]*)\}", expression):
        asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", selector))
        assert asked <= exported[name] | ADDED, name
    known = ADDED.union(*(exported[name] for name in names))
    for grouped in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
        assert set(re.split(r",\s*", grouped)) <= known
    shown = set(re.findall(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}", words))
    assert shown <= known


def test_the_status_words_of_the_rules_are_those_that_requests_end_with() -> None:
    asked = set(re.findall(r"[A-Z]{4,}(?:_[A-Z]+)*", " ".join(rule["expr"] for rule in rules())))
    assert asked <= {code.name for code in STATUS.values()}
    assert asked


def test_every_metric_is_shown_or_alerted_on_and_documented(exported: dict[str, set[str]]) -> None:
    own = {re.sub(r"_(bucket|count|sum)$", "", name) for name in exported if name.startswith("offbeat_")}
    documentation = (ROOT / "docs/serving.md").read_text()
    named = set(NAME.findall(documentation))
    assert own <= named
    assert {name for name in named if name.startswith("offbeat_")} <= own | set(exported)
    used = {re.sub(r"_(bucket|count|sum)$", "", name) for each, _ in expressions() for name in NAME.findall(each)}
    assert own - used == {"offbeat_drift_reference_windows", "offbeat_score_mean_shift"}


def test_the_dashboards_panels_have_places_and_numbers_of_their_own() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
    variables = {variable["name"] for variable in dashboard()["templating"]["list"]} | {"__rate_interval"}
    for target in targets():
        assert set(re.findall(r"\$(\w+)", target["expr"])) <= variables
