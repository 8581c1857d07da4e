from __future__ import annotations

import logging
from pathlib import Path

import grpc
import pytest

from offbeat.client import ClientSecurity
from offbeat.errors import ConfigurationError, UnauthenticatedError
from offbeat.inference import open_inference_pb2 as oip
from offbeat.security_config import SecurityConfig
from offbeat.server.access import gate
from offbeat.server.access.tokens import read_tokens
from tests.runtime.folders import random_windows, write_version

from ..client.both import Connect
from ..client.conftest import connect
from .calls import INFER, SCORE, infer_request, score_request
from .fakes import make_scorer
from .live import LiveServer, Serve, eventually

__all__ = ["connect"]
USER, OTHER, ADMIN = "user-0123456789abcdef", "other-0123456789abcdef", "root-0123456789abcdef"
LOAD = "/inference.GRPCInferenceService/RepositoryModelLoad"
UNLOAD = "/inference.GRPCInferenceService/RepositoryModelUnload"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(f"# of the service team\n{USER}\r\n\n  {OTHER}\nadmin:{ADMIN}")
    return path


def code(server: LiveServer, method: str, request: bytes, *headers: str) -> grpc.StatusCode:
    """The status of a call with these `authorization` headers."""
    metadata = tuple(("authorization", header) for header in headers)
    call = server.channel.unary_unary(method).future(request, metadata=metadata, timeout=60)
    status = call.code()
    assert isinstance(status, grpc.StatusCode)
    return status


def score_code(server: LiveServer, *headers: str) -> grpc.StatusCode:
    return code(server, SCORE, score_request(random_windows(1)).SerializeToString(), *headers)


def secured(serve: Serve, token_file: Path) -> LiveServer:
    return serve(make_scorer(), security=SecurityConfig(token_file=token_file))


def test_only_bearers_of_a_token_of_the_file_are_answered(serve: Serve, token_file: Path) -> None:
    server = secured(serve, token_file)
    for token in (USER, OTHER, ADMIN):
        assert score_code(server, f"Bearer {token}") is grpc.StatusCode.OK
    assert score_code(server, f"bearer {USER}") is grpc.StatusCode.OK
    refused = ["", "Bearer", "Bearer ", USER, f"Basic {USER}", f"Bearer {USER[:-1]}", f"Bearer {USER}x"]
    refused += [f"Bearer admin:{ADMIN}", "Bearer # of the service team", "Bearer " + "x" * 5000]
    for header in refused:
        assert score_code(server, header) is grpc.StatusCode.UNAUTHENTICATED, header
    assert score_code(server) is grpc.StatusCode.UNAUTHENTICATED
    assert score_code(server, "Bearer wrong", f"Bearer {USER}") is grpc.StatusCode.UNAUTHENTICATED


def test_every_method_of_both_services_asks_for_a_token_and_health_does_not(serve: Serve, token_file: Path) -> None:
    server = secured(serve, token_file)
    for name in ("ListModels", "GetModel", "ScoreStream"):
        assert code(server, f"/offbeat.v1.AnomalyScoring/{name}", b"") is grpc.StatusCode.UNAUTHENTICATED
    for method in oip.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods:
        name = f"/inference.GRPCInferenceService/{method.name}"
        assert code(server, name, b"") in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNIMPLEMENTED)
    assert code(server, INFER, infer_request(random_windows(1)).SerializeToString()) is grpc.StatusCode.UNAUTHENTICATED
    assert code(server, "/offbeat.v1.AnomalyScoring/Nonsense", b"") is grpc.StatusCode.UNIMPLEMENTED
    assert code(server, "/grpc.health.v1.Health/Check", b"") is grpc.StatusCode.OK


def test_loading_and_unloading_are_for_admins(serve: Serve, token_file: Path, tmp_path: Path) -> None:
    write_version(tmp_path / "models")
    server = serve(
        path=tmp_path / "models", security=SecurityConfig(token_file=token_file), model_control_mode="explicit"
    )
    for method, kind in ((LOAD, oip.RepositoryModelLoadRequest), (UNLOAD, oip.RepositoryModelUnloadRequest)):
        request = kind(model_name="level").SerializeToString()
        assert code(server, method, request) is grpc.StatusCode.UNAUTHENTICATED
        assert code(server, method, request, f"Bearer {USER}") is grpc.StatusCode.PERMISSION_DENIED
        assert code(server, method, request, f"Bearer {ADMIN}") is grpc.StatusCode.OK


def test_channelz_is_for_admins(serve: Serve, token_file: Path) -> None:
    server = serve(make_scorer(), security=SecurityConfig(token_file=token_file), channelz=True)
    method = "/grpc.channelz.v1.Channelz/GetServers"
    assert code(server, method, b"") is grpc.StatusCode.UNAUTHENTICATED
    assert code(server, method, b"", f"Bearer {USER}") is grpc.StatusCode.PERMISSION_DENIED
    assert code(server, method, b"", f"Bearer {ADMIN}") is grpc.StatusCode.OK


def test_both_clients_show_their_token_in_every_call(serve: Serve, connect: Connect, token_file: Path) -> None:
    target = secured(serve, token_file).target
    client = connect(target, security=ClientSecurity(token=USER))
    assert len(client.score(random_windows(2), model="level").anomaly_score) == 2
    results, error = client.stream([random_windows(1)] * 2, model="level")
    assert (len(results), error) == (2, None)
    assert client.get_model("level").name == client.list_models()[0].name == "level"
    stranger = connect(target)
    with pytest.raises(UnauthenticatedError, match="authorization: Bearer"):
        stranger.score(random_windows(2), model="level")
    assert stranger.is_ready()


def test_tokens_follow_their_file_and_a_bad_file_changes_nothing(
    serve: Serve, token_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gate, "LOOK_INTERVAL_S", 0.0)
    server = secured(serve, token_file)
    token_file.write_text(f"{OTHER}\nand this is none\n")
    with caplog.at_level(logging.ERROR, "offbeat.server"):
        for _ in range(3):
            assert score_code(server, f"Bearer {USER}") is grpc.StatusCode.OK
    assert [record.getMessage().partition("; expected")[0] for record in caplog.records] == [
        f"what was read before stays in use: {token_file}: line 2 is no token"
    ]
    token_file.write_text(f"{OTHER}\n")
    assert score_code(server, f"Bearer {USER}") is grpc.StatusCode.UNAUTHENTICATED
    assert score_code(server, f"Bearer {OTHER}") is grpc.StatusCode.OK


def test_the_file_is_looked_at_again_within_its_interval(
    serve: Serve, token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "LOOK_INTERVAL_S", 0.3)
    server = secured(serve, token_file)
    token_file.write_text(f"{OTHER}\n")
    eventually(lambda: score_code(server, f"Bearer {USER}") is grpc.StatusCode.UNAUTHENTICATED, "the token is gone")


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (b"", "0 tokens"),
        (b"# only words\n\n", "0 tokens"),
        (b"short\n", "line 1 is no token"),
        (f"{USER}\n{OTHER} {ADMIN}\n".encode(), "line 2 is no token"),
        (f"user:{USER}\n".encode(), "line 1 is no token"),
        (b"admin:\n", "line 1 is no token"),
        ("schlüssel-0123456789\n".encode(), "line 1 is no token"),
        (b"\xff\xfe\x00", "not text"),
        (b"\n".join(b"token-%016d" % number for number in range(101)), "101 tokens"),
        # Read in part, it might end in the middle of a token.
        (b"#" * 2**20 + f"\n{USER}\n".encode(), "more than 1048576 bytes"),
    ],
)
def test_a_file_that_holds_no_tokens_is_refused_without_telling_them(tmp_path: Path, content: bytes, seen: str) -> None:
    path = tmp_path / "tokens"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"{path}: {seen}.*expected") as caught:
        read_tokens(path)
    assert USER not in str(caught.value)


def test_a_file_that_is_not_there_refuses_the_start(serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere: cannot be read"):
        secured(serve, tmp_path / "nowhere")


def test_a_token_of_both_roles_is_an_admins(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"admin:{ADMIN}\n{ADMIN}\n")
    assert read_tokens(tmp_path / "tokens").role(f"Bearer {ADMIN}") == "admin"


def test_a_client_does_not_tell_its_token() -> None:
    assert USER not in repr(ClientSecurity(token=USER))
    with pytest.raises(ConfigurationError, match="token is") as caught:
        ClientSecurity(token=f"{USER}\n")
    assert USER not in str(caught.value)
