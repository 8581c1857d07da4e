from __future__ import annotations

import logging
from pathlib import Path

import pytest

import offbeat.server
from offbeat.cli.app import run
from offbeat.config import ServerConfig
from offbeat.series_config import SeriesConfig


def served(monkeypatch: pytest.MonkeyPatch, *flags: str) -> ServerConfig:
    """The configuration that `offbeat serve` comes to."""
    seen: list[ServerConfig] = []
    monkeypatch.setattr(offbeat.server, "run_server", lambda config, **_: seen.append(config))
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    monkeypatch.setattr("sys.argv", ["offbeat", "serve", "models", *flags])
    run()
    [config] = seen
    return config


def test_nothing_watches_unless_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    assert served(monkeypatch) == ServerConfig(model_repository=Path("models"))


def test_the_flags_of_watching_are_fields_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = ("--metrics-port", "0", "--metrics-host", "::1", "--log-format", "json", "--channelz")
    config = served(monkeypatch, *flags)
    assert (config.metrics_port, config.metrics_host, config.log_format, config.channelz) == (0, "::1", "json", True)


def test_the_flags_of_watching_are_environment_variables_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("METRICS_PORT", "9001"), ("LOG_FORMAT", "json"), ("CHANNELZ", "1")):
        monkeypatch.setenv(f"OFFBEAT_{name}", value)
    config = served(monkeypatch)
    assert (config.metrics_port, config.log_format, config.channelz) == (9001, "json", True)


@pytest.mark.parametrize("how", ["flag", "variable", "file"])
def test_compressed_messages_are_taken_by_a_flag_a_variable_or_a_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str
) -> None:
    assert not served(monkeypatch).accept_compressed
    flags: tuple[str, ...] = ("--accept-compressed",) if how == "flag" else ()
    if how == "variable":
        monkeypatch.setenv("OFFBEAT_ACCEPT_COMPRESSED", "1")
    if how == "file":
        (tmp_path / "server.toml").write_text("accept_compressed = true\n")
        flags = ("--config", str(tmp_path / "server.toml"))
    assert served(monkeypatch, *flags).accept_compressed


def test_the_flags_of_series_are_fields_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFBEAT_STATE_DIR", "state")
    monkeypatch.setenv("OFFBEAT_ALARM_N", "5")
    flags = ("--max-series", "10", "--max-series-bytes", "4096", "--series-ttl-s", "60", "--series-snapshot-s", "5")
    config = served(monkeypatch, *flags, "--out-of-order", "drop", "--alarm-k", "2")
    assert config.series == SeriesConfig(
        max_series=10,
        max_series_bytes=4096,
        series_ttl_s=60,
        series_snapshot_s=5,
        out_of_order="drop",
        alarm_k=2,
        alarm_n=5,
        state_dir=Path("state"),
    )
