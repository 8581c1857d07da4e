"""What a test asks on the metrics port."""

from __future__ import annotations

import urllib.error
import urllib.request

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from .live import LiveServer


def get(server: LiveServer, path: str) -> tuple[int, str]:
    """Status and text of an answer."""
    return fetch(server.server.metrics_port or 0, path)


def fetch(port: int, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{port}{path}"
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def scrape(server: LiveServer) -> dict[str, Metric]:
    status, text = get(server, "/metrics")
    assert status == 200, text
    return {family.name: family for family in text_string_to_metric_families(text)}


def samples(server: LiveServer, name: str, **labels: str) -> list[float]:
    """The values of the samples of that name that have these labels."""
    return [
        sample.value
        for family in scrape(server).values()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
