"""Which port serves what, and to whom: the one for admins, and HTTP with TLS."""

from __future__ import annotations

import shutil
import ssl
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import pytest

from offbeat.errors import ConfigurationError
from offbeat.inference import open_inference_pb2 as oip
from offbeat.security_config import SecurityConfig
from tests.runtime.authority import Authority, needs_openssl
from tests.runtime.folders import random_windows, write_version

from .admin import SERVICE
from .calls import SCORE, score_request
from .fakes import make_scorer
from .live import LiveServer, Serve, config
from .rest_client import ask

USER, ADMIN = "user-0123456789abcdef", "root-0123456789abcdef"
LOAD = f"{SERVICE}/RepositoryModelLoad"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_version(tmp_path / "models")
    return tmp_path / "models"


def code(port: int | None, method: str, request: Any, *tokens: str) -> grpc.StatusCode:
    metadata = [("authorization", f"Bearer {token}") for token in tokens]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(method).future(request.SerializeToString(), metadata=metadata, timeout=60)
        status = call.code()
    assert isinstance(status, grpc.StatusCode)
    return status


def test_with_a_port_for_admins_models_are_loaded_there_alone(serve: Serve, models: Path) -> None:
    server = serve(path=models, model_control_mode="explicit", admin_port=0, metrics_port=0, rest=True, channelz=True)
    request = oip.RepositoryModelLoadRequest(model_name="level")
    main, admin = server.server.port, server.server.admin_port
    assert code(main, LOAD, request) is grpc.StatusCode.PERMISSION_DENIED
    assert code(main, "/grpc.channelz.v1.Channelz/GetServers", request) is grpc.StatusCode.PERMISSION_DENIED
    status, told = ask(server, "/v2/repository/models/level/load", b"")
    assert status == 403
    assert "admin_port" in told["error"]
    assert code(admin, LOAD, request) is grpc.StatusCode.OK
    for port in (main, admin):
        assert code(port, SCORE, score_request(random_windows(1))) is grpc.StatusCode.OK
        assert code(port, "/grpc.health.v1.Health/Check", oip.ServerLiveRequest()) is grpc.StatusCode.OK
    assert code(admin, "/grpc.channelz.v1.Channelz/GetServers", request) is not grpc.StatusCode.PERMISSION_DENIED


def test_the_port_for_admins_asks_for_their_tokens_where_there_are_any(
    serve: Serve, models: Path, tmp_path: Path
) -> None:
    (tmp_path / "tokens").write_text(f"{USER}\nadmin:{ADMIN}\n")
    security = SecurityConfig(token_file=tmp_path / "tokens")
    server = serve(path=models, model_control_mode="explicit", admin_port=0, security=security)
    request = oip.RepositoryModelLoadRequest(model_name="level")
    assert code(server.server.port, LOAD, request, ADMIN) is grpc.StatusCode.PERMISSION_DENIED
    assert code(server.server.admin_port, LOAD, request) is grpc.StatusCode.UNAUTHENTICATED
    assert code(server.server.admin_port, LOAD, request, USER) is grpc.StatusCode.PERMISSION_DENIED
    assert code(server.server.admin_port, LOAD, request, ADMIN) is grpc.StatusCode.OK


def test_a_drain_ends_the_port_for_admins_too(serve: Serve) -> None:
    server = serve(make_scorer(), admin_port=0)
    server.drain()
    for port in (server.server.port, server.server.admin_port):
        assert code(port, SCORE, score_request(random_windows(1))) is grpc.StatusCode.UNAVAILABLE


def test_a_port_for_admins_that_is_taken_refuses_the_start(serve: Serve) -> None:
    taken = serve(make_scorer()).server.port
    with pytest.raises(ConfigurationError, match=f"127.0.0.1:{taken}"):
        serve(make_scorer(), admin_port=taken)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"metrics_port": 0, "metrics_host": "0.0.0.0"}, "metrics_host is '0.0.0.0'; expected .*--metrics-tls"),  # noqa: S104
        ({"admin_port": 0, "admin_host": "::"}, "admin_host is '::'; expected .*--insecure"),
        ({"metrics_tls": True}, "metrics_tls is True; expected False without tls_cert and tls_key"),
        ({"admin_port": 70000}, "admin_port is 70000"),
        (
            {
                "metrics_port": 0,
                "rest": True,
                "security": SecurityConfig(tls_cert=Path("a"), tls_key=Path("b"), tls_client_ca=Path("c")),
            },
            "rest is True; expected metrics_tls as well",
        ),
    ],
)
def test_ports_that_would_let_anyone_in_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        config(**settings)


def test_insecure_opens_every_port() -> None:
    wide = config(metrics_host="0.0.0.0", admin_host="::", security=SecurityConfig(insecure=True))  # noqa: S104
    assert wide.metrics_host == "0.0.0.0"  # noqa: S104


def life(server: LiveServer, authority: Authority, *mine: Path) -> int:
    context = ssl.create_default_context(cafile=authority.ca)
    if mine:
        context.load_cert_chain(*mine)
    with urllib.request.urlopen(
        f"https://127.0.0.1:{server.server.metrics_port}/healthz", timeout=60, context=context
    ) as answer:
        status: int = answer.status
        return status


@needs_openssl
def test_http_speaks_tls_by_the_same_files_and_follows_them(serve: Serve, tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    for source, target in zip(authority.issue("server"), files, strict=True):
        shutil.copy(source, target)
    security = SecurityConfig(tls_cert=files[0], tls_key=files[1])
    server = serve(make_scorer(), metrics_port=0, metrics_tls=True, security=security)
    assert life(server, authority) == 200
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        life(server, other)
    for source, target in zip(other.issue("replacement"), files, strict=True):
        shutil.copy(source, target)
    assert life(server, other) == 200


@needs_openssl
def test_mutual_tls_holds_for_http_too(serve: Serve, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("server")
    security = SecurityConfig(tls_cert=cert, tls_key=key, tls_client_ca=authority.ca)
    server = serve(make_scorer(), metrics_port=0, metrics_tls=True, rest=True, security=security)
    assert life(server, authority, *authority.issue("client")) == 200
    for stranger in ((), Authority(tmp_path, "other").issue("foreign")):
        with pytest.raises(OSError, match=r"(?i)certificate|unknown ca|reset|EOF|closed"):
            life(server, authority, *stranger)
