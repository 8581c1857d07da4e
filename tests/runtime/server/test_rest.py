"""The REST form of the Open Inference Protocol, as curl would ask for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offbeat.errors import ConfigurationError
from offbeat.security_config import SecurityConfig
from tests.runtime.folders import expected_outputs, random_windows, write_version

from .fakes import NumpyBackend, make_scorer
from .live import LiveServer, Serve, config
from .rest_client import INFER, ask, exchange, infer_json, rest

WINDOWS = random_windows(3)


def scores(told: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: np.array(each["data"]).reshape(each["shape"]) for each in told["outputs"]}


@pytest.mark.parametrize("is_nested", [False, True])
def test_windows_are_scored_flat_or_nested_and_to_the_bit(rest_server: LiveServer, is_nested: bool) -> None:
    body = infer_json(WINDOWS, ["anomaly_score", "is_anomaly", "step_error"], id="7")
    if is_nested:
        body["inputs"][0]["data"] = WINDOWS.tolist()
    status, headers, content = exchange(rest_server, INFER, body)
    told = json.loads(content)
    assert (status, told["model_name"], told["model_version"], told["id"]) == (200, "level", "1", "7")
    assert "backend=numpy (test)" in headers["offbeat-timing"]
    assert [(each["name"], each["datatype"]) for each in told["outputs"]] == [
        ("anomaly_score", "FP32"),
        ("is_anomaly", "BOOL"),
        ("step_error", "FP32"),
    ]
    expected = expected_outputs(WINDOWS)
    for name, array in scores(told).items():
        np.testing.assert_array_equal(array.astype(expected[name].dtype), expected[name])


def test_without_outputs_the_default_ones_come_and_without_an_id_none(rest_server: LiveServer) -> None:
    _, told = ask(rest_server, "/v2/models/level/versions/1/infer", infer_json(WINDOWS))
    assert [each["name"] for each in told["outputs"]] == ["reconstruction_error", "anomaly_score", "is_anomaly"]
    assert "id" not in told


def test_null_is_as_good_as_nothing_wherever_a_field_may_be_left_out(rest_server: LiveServer) -> None:
    """As clients send that write out all fields of a request, given or not."""
    body = infer_json(WINDOWS)
    expected = ask(rest_server, INFER, body)
    body |= {"id": None, "parameters": None, "outputs": None}
    body["inputs"][0] |= {"parameters": {"content_type": "np", "headers": None}}
    assert ask(rest_server, INFER, body)[:2] == expected[:2]
    body["inputs"][0] |= {"parameters": None}
    body["outputs"] = [{"name": "is_anomaly", "parameters": None}]
    status, told = ask(rest_server, INFER, body)[:2]
    assert (status, [output["name"] for output in told["outputs"]]) == (200, ["is_anomaly"])
    body["inputs"][0] |= {"data": None}
    assert "has no data" in ask(rest_server, INFER, body)[1]["error"]


def test_binary_tensors_travel_behind_the_json_both_ways(rest_server: LiveServer) -> None:
    data = WINDOWS.tobytes()
    body = infer_json(WINDOWS, ["anomaly_score", "is_anomaly"])
    del body["inputs"][0]["data"]
    body["inputs"][0]["parameters"] = {"binary_data_size": len(data)}
    body["outputs"][0]["parameters"] = {"binary_data": True}
    head = json.dumps(body).encode()
    status, headers, content = exchange(
        rest_server, INFER, head + data, **{"Inference-Header-Content-Length": str(len(head))}
    )
    assert (status, headers["content-type"]) == (200, "application/octet-stream")
    length = int(headers["inference-header-content-length"])
    score, anomaly = json.loads(content[:length])["outputs"]
    assert score["parameters"] == {"binary_data_size": 4 * len(WINDOWS)}
    expected = expected_outputs(WINDOWS)
    np.testing.assert_array_equal(np.frombuffer(content[length:], "<f4"), expected["anomaly_score"])
    assert anomaly["data"] == expected["is_anomaly"].tolist()


def test_scores_beyond_float32_are_null(serve: Serve) -> None:
    class EndlessBackend(NumpyBackend):
        def run(self, window: Any, outputs: Any) -> Any:
            return {name: np.full(len(window), np.inf, np.float32) for name in outputs}

    status, told = ask(rest(serve, EndlessBackend()), INFER, infer_json(WINDOWS, ["reconstruction_error"]))
    assert (status, told["outputs"][0]["data"]) == (200, [None] * 3)


def test_the_server_and_its_models_are_described(serve: Serve, tmp_path: Path) -> None:
    write_version(tmp_path)
    server = serve(path=tmp_path, metrics_port=0, rest=True)
    assert ask(server, "/v2")[1]["name"] == "offbeat"
    assert ask(server, "/v2/health/live") == (200, {"live": True})
    assert ask(server, "/v2/health/ready") == (200, {"ready": True})
    status, told = ask(server, "/v2/models/level")
    assert (status, told["versions"], told["inputs"]) == (
        200,
        ["1"],
        [{"name": "window", "datatype": "FP32", "shape": [-1, -1, 2]}],
    )
    assert ask(server, "/v2/models/level/versions/1")[1] == told
    assert ask(server, "/v2/models/level/ready") == (200, {"name": "level", "ready": True})
    assert ask(server, "/v2/models/level/versions/2/ready") == (503, {"name": "level", "ready": False})
    assert ask(server, "/v2/models/level/config")[1]["max_batch_size"] == 512
    assert ask(server, "/v2/models/stats")[1] == ask(server, "/v2/models/level/stats")[1]
    assert ask(server, "/v2/repository/index", b"")[1] == [
        {"name": "level", "version": "1", "state": "READY", "reason": ""}
    ]


def test_the_index_tells_those_that_are_ready_alone_where_it_is_asked_to(serve: Serve, tmp_path: Path) -> None:
    for name in ("level", "other"):
        write_version(tmp_path, name)
    server = serve(path=tmp_path, model_control_mode="explicit", load_model=("level",), metrics_port=0, rest=True)
    index = "/v2/repository/index"
    for body, n_told in ((b"", 2), ({}, 2), ({"ready": False}, 2), ({"ready": True}, 1)):
        assert len(ask(server, index, body)[1]) == n_told
    for wrong in ({"ready": "yes"}, b"[", b"1"):
        assert ask(server, index, wrong)[0] == 400


def test_models_are_loaded_and_unloaded(serve: Serve, tmp_path: Path) -> None:
    for version in (1, 2):
        write_version(tmp_path, "level", version)
    server = serve(path=tmp_path, model_control_mode="explicit", metrics_port=0, rest=True)
    policy = json.dumps({"version_policy": {"specific": {"versions": [1]}}})
    assert ask(server, "/v2/repository/models/level/load", {"parameters": {"config": policy}})[0] == 200
    assert ask(server, "/v2/models/level")[1]["versions"] == ["1"]
    assert ask(server, "/v2/repository/models/level/load", {"parameters": {"file:1": "x"}})[0] == 400
    assert ask(server, "/v2/repository/models/level/unload", b"")[0] == 200
    assert ask(server, INFER, infer_json(WINDOWS))[0] == 404
    assert ask(server, "/v2/repository/models/nobody/load", b"")[0] == 404


USER, ADMIN = "user-0123456789abcdef", "root-0123456789abcdef"


def test_tokens_are_asked_for_and_admins_are_told_from_users(serve: Serve, tmp_path: Path) -> None:
    write_version(tmp_path / "models")
    (tmp_path / "tokens").write_text(f"{USER}\nadmin:{ADMIN}\n")
    server = serve(
        path=tmp_path / "models",
        model_control_mode="explicit",
        load_model=("*",),
        security=SecurityConfig(token_file=tmp_path / "tokens"),
        metrics_port=0,
        rest=True,
    )
    body = infer_json(WINDOWS)
    for path in ("/v2", "/v2/health/live", "/v2/models/level", INFER, "/v2/repository/index"):
        data = body if path == INFER else b"" if path.endswith("index") else None
        assert ask(server, path, data)[0] == 401, path
        assert ask(server, path, data, Authorization="Bearer nonsense-nonsense")[0] == 401
        assert ask(server, path, data, Authorization=f"Bearer {USER}")[0] == 200
    unload = "/v2/repository/models/level/unload"
    assert ask(server, unload, b"", Authorization=f"Bearer {USER}")[0] == 403
    assert ask(server, unload, b"", Authorization=f"Bearer {ADMIN}")[0] == 200
    assert exchange(server, "/healthz")[0] == exchange(server, "/metrics")[0] == 200


def test_rest_is_there_only_when_it_is_asked_for(serve: Serve) -> None:
    assert exchange(serve(make_scorer(), metrics_port=0), "/v2")[0] == 404
    with pytest.raises(ConfigurationError, match="rest is True; expected metrics_port"):
        config(rest=True)
