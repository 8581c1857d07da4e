from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from offbeat.config import BackendConfig, BatchingConfig, ServerConfig
from offbeat.errors import ConfigurationError
from offbeat.result import Threshold


@pytest.mark.parametrize(
    ("kind", "setting"),
    [
        (BackendConfig, {"backend": ""}),
        (BackendConfig, {"device": "tpu"}),
        (BackendConfig, {"n_threads": 0}),
        (BatchingConfig, {"max_batch_size": 0}),
        (BatchingConfig, {"max_queue_delay_us": -1}),
        (BatchingConfig, {"max_queue_size": 0}),
        (ServerConfig, {"port": 65536}),
        (ServerConfig, {"host": ""}),
        (ServerConfig, {"n_workers": 0}),
        (ServerConfig, {"grace_s": -1.0}),
        (ServerConfig, {"max_message_bytes": 1}),
        (Threshold, {"value": 0.0}),
        (Threshold, {"value": float("nan")}),
        (Threshold, {"value": float("inf")}),
        (Threshold, {"value": 1e-320}),
        (Threshold, {"value": 1.0, "method": "percentile"}),
        (Threshold, {"value": 1.0, "method": "fixed", "percentile": 95.0}),
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
