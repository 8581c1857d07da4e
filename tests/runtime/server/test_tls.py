from __future__ import annotations

import logging
import shutil
import socket
import ssl
import urllib.request
from pathlib import Path

import grpc
import pytest

from offbeat.client import Client, ClientSecurity
from offbeat.errors import ConfigurationError, UnavailableError
from offbeat.security_config import SecurityConfig
from offbeat.server import Server
from offbeat.server.http import http_server
from offbeat.server.preflight import preflight
from tests.runtime.authority import Authority, needs_openssl
from tests.runtime.folders import random_windows, write_version

from ..client.both import Connect
from ..client.conftest import connect
from .fakes import make_scorer
from .live import Loop, Serve, config

__all__ = ["connect"]
pytestmark = needs_openssl


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> tuple[Path, Path]:
    return authority.issue("server")


def tls(pair: tuple[Path, Path], client_ca: Path | None = None) -> SecurityConfig:
    return SecurityConfig(tls_cert=pair[0], tls_key=pair[1], tls_client_ca=client_ca)


def is_answered(target: str, security: ClientSecurity) -> bool:
    with Client(target, timeout_s=60, security=security) as client:
        return client.is_ready()


def test_both_clients_score_over_tls(
    serve: Serve, connect: Connect, authority: Authority, pair: tuple[Path, Path]
) -> None:
    client = connect(serve(make_scorer(), security=tls(pair)).target, security=ClientSecurity(tls_ca=authority.ca))
    assert len(client.score(random_windows(3), model="level").anomaly_score) == 3
    results, error = client.stream([random_windows(2)] * 3, model="level")
    assert (len(results), error) == (3, None)
    assert client.is_ready()


def test_who_does_not_know_the_authority_or_does_not_speak_tls_gets_no_answer(
    serve: Serve, pair: tuple[Path, Path]
) -> None:
    target = serve(make_scorer(), security=tls(pair)).target
    for security in (ClientSecurity(), ClientSecurity(tls=True)):
        with Client(target, timeout_s=60, security=security) as client, pytest.raises(UnavailableError):
            client.list_models()


def test_a_certificate_must_be_for_the_name_that_is_called(serve: Serve, authority: Authority) -> None:
    target = serve(make_scorer(), security=tls(authority.issue("elsewhere", "192.0.2.1"))).target
    assert not is_answered(target, ClientSecurity(tls_ca=authority.ca))
    assert is_answered(target, ClientSecurity(tls_ca=authority.ca, tls_server_name="elsewhere"))


def test_with_mutual_tls_only_clients_of_the_authority_are_let_in(
    serve: Serve, authority: Authority, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    target = serve(make_scorer(), security=tls(pair, authority.ca)).target
    own, foreign = authority.issue("client"), Authority(tmp_path, "other").issue("client")
    assert is_answered(target, ClientSecurity(tls_ca=authority.ca, tls_client_cert=own[0], tls_client_key=own[1]))
    for stranger in (
        ClientSecurity(tls_ca=authority.ca),
        ClientSecurity(tls_ca=authority.ca, tls_client_cert=foreign[0], tls_client_key=foreign[1]),
    ):
        assert not is_answered(target, stranger)


def test_new_connections_get_the_certificate_that_lies_there_now_and_old_ones_go_on(
    serve: Serve, pair: tuple[Path, Path], authority: Authority, tmp_path: Path
) -> None:
    files = copied(pair, tmp_path)
    server = serve(make_scorer(), security=tls(files))
    old = ClientSecurity(tls_ca=authority.ca)
    with Client(server.target, timeout_s=60, security=old) as connected:
        assert connected.list_models()
        other = Authority(tmp_path, "other")
        copied(other.issue("replacement"), tmp_path)
        new = ClientSecurity(tls_ca=other.ca)
        assert is_answered(server.target, new)
        assert not is_answered(server.target, old)
        assert connected.list_models()
        assert is_answered(server.target, new)


def test_a_pair_that_does_not_fit_changes_nothing_and_is_logged_once(
    serve: Serve, authority: Authority, pair: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = copied(pair, tmp_path)
    server = serve(make_scorer(), security=tls(files))
    shutil.copy(authority.issue("half")[0], files[0])
    with caplog.at_level(logging.INFO, "offbeat.server"):
        for _ in range(3):
            assert is_answered(server.target, ClientSecurity(tls_ca=authority.ca))
        files[1].unlink()
        for _ in range(3):
            assert is_answered(server.target, ClientSecurity(tls_ca=authority.ca))
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert all("what was read before stays in use" in line for line in told)
    assert "key values mismatch" in told[0]


@pytest.mark.parametrize("broken", ["absent", "empty", "noise", "another key", "a folder", "encrypted"])
def test_files_that_cannot_be_used_refuse_the_start_and_name_the_file(
    loop: Loop, serve: Serve, authority: Authority, pair: tuple[Path, Path], tmp_path: Path, broken: str
) -> None:
    cert, key = copied(pair, tmp_path)
    if broken in ("absent", "a folder"):
        cert.unlink()
    if broken == "a folder":
        cert.mkdir()
    elif broken in ("empty", "noise"):
        cert.write_bytes(b"" if broken == "empty" else b"\0noise" * 100)
    elif broken == "another key":
        shutil.copy(authority.issue("another")[1], key)
    elif broken == "encrypted":
        key.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n")
    with pytest.raises(ConfigurationError, match=r"cert\.pem.*expected"):
        serve(make_scorer(), security=tls((cert, key)))


def test_authorities_that_are_none_are_refused_on_both_sides(
    serve: Serve, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text("nothing\n")
    with pytest.raises(ConfigurationError, match=r"ca\.pem: .*expected certificates in PEM"):
        serve(make_scorer(), security=tls(pair, tmp_path / "ca.pem"))
    with pytest.raises(ConfigurationError, match=r"ca\.pem: .*expected certificates in PEM"):
        Client("127.0.0.1:1", security=ClientSecurity(tls_ca=tmp_path / "ca.pem"))


def test_a_plain_channel_to_a_tls_port_leaves_the_server_unharmed(
    serve: Serve, authority: Authority, pair: tuple[Path, Path]
) -> None:
    server = serve(make_scorer(), security=tls(pair))
    for _ in range(5):
        with grpc.insecure_channel(server.target) as channel, pytest.raises(grpc.RpcError):
            channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=2)
    assert is_answered(server.target, ClientSecurity(tls_ca=authority.ca))


def copied(pair: tuple[Path, Path], folder: Path) -> tuple[Path, Path]:
    files = folder / "cert.pem", folder / "key.pem"
    for source, target in zip(pair, files, strict=True):
        shutil.copy(source, target)
    return files


def test_a_key_that_openssl_knows_and_grpc_does_not_is_refused_at_the_start_by_check_and_as_renewal(
    serve: Serve,
    loop: Loop,
    authority: Authority,
    pair: tuple[Path, Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    odd = authority.issue("odd", curve="secp256k1")
    expected = "grpc's TLS cannot use it; expected certificates for keys of RSA, or EC on P-256 or P-384"
    write_version(tmp_path / "models")
    settings = config(tmp_path / "models", security=tls(odd))
    with pytest.raises(ConfigurationError, match=expected):
        loop.run(Server(settings).start())
    assert [finding.problem for finding in preflight(settings) if finding.problem] == [f"{odd[0]}: {expected}"]
    target = serve(make_scorer(), security=tls(copied(pair, tmp_path))).target
    copied(odd, tmp_path)
    assert is_answered(target, ClientSecurity(tls_ca=authority.ca))
    assert caplog.text.count(expected) == 1


def test_an_authority_between_is_enough_on_every_port(serve: Serve, authority: Authority, tmp_path: Path) -> None:
    own = authority.issue("server")
    # A certificate is believed where it stands among the authorities, though it is not its own authority.
    client = authority.issue("known client")
    server = serve(make_scorer(), security=tls(own, client[0]), metrics_port=0, metrics_tls=True)
    shown = ClientSecurity(tls_ca=authority.ca, tls_client_cert=client[0], tls_client_key=client[1])
    assert is_answered(server.target, shown)
    context = ssl.create_default_context(cafile=authority.ca)
    context.load_cert_chain(*client)
    port = server.server.metrics_port
    with urllib.request.urlopen(f"https://127.0.0.1:{port}/healthz", timeout=60, context=context) as answer:
        assert answer.status == 200


def test_connections_that_never_begin_with_tls_are_bounded_and_keep_nobody_out(
    serve: Serve, authority: Authority, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "_MAX_CONNECTIONS", 20)
    server = serve(make_scorer(), security=tls(pair), metrics_port=0, metrics_tls=True)
    port = server.server.metrics_port or 0
    silent = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(60)]
    context = ssl.create_default_context(cafile=authority.ca)
    for _ in range(30):
        with urllib.request.urlopen(f"https://127.0.0.1:{port}/healthz", timeout=10, context=context) as answer:
            assert answer.status == 200
    # The oldest went.
    assert [each.recv(1) for each in silent[:40]] == [b""] * 40
    for each in silent:
        each.close()
