from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from offbeat.config import BackendConfig, BatchingConfig, ServerConfig
from offbeat.errors import ConfigurationError
from offbeat.result import Threshold
from offbeat.security_config import SecurityConfig
from offbeat.series_config import SeriesConfig


@pytest.mark.parametrize(
    ("kind", "setting"),
    [
        (BackendConfig, {"backend": ""}),
        (BackendConfig, {"device": "tpu"}),
        (BackendConfig, {"n_threads": 0}),
        (BackendConfig, {"n_threads": 1.5}),
        (BackendConfig, {"n_streams": 0}),
        (BackendConfig, {"max_bucket_size": 0}),
        (BatchingConfig, {"max_batch_size": 0}),
        (BatchingConfig, {"max_batch_size": True}),
        (BatchingConfig, {"max_queue_delay_us": -1}),
        (BatchingConfig, {"max_queue_size": 0}),
        (ServerConfig, {"port": 65536}),
        (ServerConfig, {"host": ""}),
        (ServerConfig, {"host": "0.0.0.0"}),  # noqa: S104 - what must be refused
        (ServerConfig, {"metrics_port": -1}),
        (ServerConfig, {"metrics_host": ""}),
        (ServerConfig, {"log_format": "xml"}),
        (ServerConfig, {"n_workers": 0}),
        (ServerConfig, {"grace_s": -1.0}),
        (ServerConfig, {"max_message_bytes": 1}),
        (SeriesConfig, {"max_series": 0}),
        (SeriesConfig, {"max_series_bytes": 1}),
        (SeriesConfig, {"series_ttl_s": 0.0}),
        (SeriesConfig, {"out_of_order": "sort"}),
        (SeriesConfig, {"alarm_n": 0}),
        (SeriesConfig, {"alarm_k": 1.0}),
        (SeriesConfig, {"alarm_k": 3, "alarm_n": 2}),
        (SeriesConfig, {"series_snapshot_s": 0.0}),
        (Threshold, {"value": 0.0}),
        (Threshold, {"value": float("nan")}),
        (Threshold, {"value": float("inf")}),
        (Threshold, {"value": 1e-320}),
        (Threshold, {"value": 1.0, "method": "percentile"}),
        (Threshold, {"value": 1.0, "method": "fixed", "percentile": 95.0}),
        (Threshold, {"value": 1.0, "method": "pot", "false_alarm_rate": 0.01}),
        (Threshold, {"value": 1.0, "method": "conformal", "false_alarm_rate": 0.01, "initial_percentile": 98.0}),
        (Threshold, {"value": 1.0, "method": "best-f1"}),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(kind: type[Any], setting: dict[str, Any]) -> None:
    given = {ServerConfig: {"model_repository": Path("models")}, Threshold: {"method": "fixed"}}.get(kind, {}) | setting
    field = "threshold" if kind is Threshold else next(iter(setting))
    with pytest.raises(ConfigurationError, match=field):
        kind(**given)


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="max_size"):
        msgspec.convert({"max_size": 3}, BatchingConfig)


def test_configuration_cannot_be_changed_once_made() -> None:
    with pytest.raises(AttributeError):
        BatchingConfig().max_batch_size = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"method": "fixed"}, "fixed"),
        ({"method": "percentile", "percentile": 99.5, "n_windows": 1200}, "percentile 99.5, of 1,200 windows"),
        (
            {"method": "pot", "false_alarm_rate": 0.01, "initial_percentile": 98.0, "n_windows": 800},
            "pot, false alarm rate 0.01, initial percentile 98, of 800 windows",
        ),
        ({"method": "best-f1", "f1": 0.75, "n_windows": 90}, "best-f1, f1 0.75, of 90 windows"),
    ],
)
def test_a_threshold_says_how_it_was_chosen(settings: dict[str, Any], words: str) -> None:
    assert Threshold(value=1.0, **settings).how == words


def test_a_threshold_written_before_there_were_other_methods_is_read() -> None:
    old = {"value": 0.5, "method": "percentile", "n_windows": 20, "percentile": 95.0}
    assert msgspec.convert(old, Threshold).false_alarm_rate is None


@pytest.mark.parametrize("ports", [{"metrics_port": 8001}, {"admin_port": 8001}, {"metrics_port": 9, "admin_port": 9}])
def test_one_port_is_not_given_twice_on_one_host(ports: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"_port is .*; expected a port of its own"):
        ServerConfig(model_repository=Path("models"), **ports)


def test_free_ports_and_one_port_on_two_hosts_are_no_conflict() -> None:
    ServerConfig(model_repository=Path("models"), port=0, metrics_port=0, admin_port=0)
    ServerConfig(model_repository=Path("models"), host="127.0.0.2", metrics_port=8001)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_loopback_needs_no_leave(host: str) -> None:
    assert ServerConfig(model_repository=Path("models"), host=host).host == host


@pytest.mark.parametrize("host", ["::", "192.0.2.1", "fe80::1", "example.org", "localhost.example.org"])
def test_beyond_loopback_only_who_asks_for_it_listens(host: str) -> None:
    with pytest.raises(ConfigurationError, match="or --insecure"):
        ServerConfig(model_repository=Path("models"), host=host)
    security = SecurityConfig(insecure=True)
    assert ServerConfig(model_repository=Path("models"), host=host, security=security).host == host
