"""Configuration: who may reach a server, and how a client shows and sees who is there."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import msgspec

from offbeat.errors import require


class SecurityConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands between the server and whoever reaches its port.

    `tls_cert`, a chain of certificates, the server's own first, and `tls_key`, its private key, turn TLS on; with
    `tls_client_ca` only clients are let in whose certificates one of these authorities has signed. All are PEM files, and
    are read again when they change. Without TLS the server listens beyond this machine only with `insecure`.

    With `token_file`, which is followed in the same way, callers need one of its tokens for everything but health and
    reflection. Raises ConfigurationError for half a pair of files, and for authorities without them.
    """

    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    token_file: Path | None = None
    insecure: bool = False

    def __post_init__(self) -> None:
        _require_pair("tls_cert", self.tls_cert, "tls_key", self.tls_key)
        require(
            self.tls_client_ca is None or self.has_tls,
            "tls_client_ca",
            str(self.tls_client_ca),
            "none without tls_cert and tls_key",
        )

    @property
    def has_tls(self) -> bool:
        """Whether it speaks TLS."""
        return self.tls_cert is not None

    def check_host(self, host: str) -> None:
        """Raises ConfigurationError where listening on the host would let anyone in."""
        self._check_host("host", host, self.has_tls, "--tls-cert and --tls-key")

    def check_metrics(self, host: str, *, has_tls: bool, has_rest: bool) -> None:
        """Raises ConfigurationError where HTTP on the host would let anyone in, or by whom mutual TLS keeps out."""
        require(not has_tls or self.has_tls, "metrics_tls", has_tls, "False without tls_cert and tls_key")
        self._check_host("metrics_host", host, has_tls, "--metrics-tls")
        require(
            not has_rest or has_tls or self.tls_client_ca is None,
            "rest",
            has_rest,
            "metrics_tls as well, as tls_client_ca lets in only clients with certificates",
        )

    def check_admin(self, host: str) -> None:
        """Raises ConfigurationError where the admin's port on the host would let anyone in."""
        self._check_host("admin_host", host, self.has_tls, "--tls-cert and --tls-key")

    def _check_host(self, field: str, host: str, has_tls: bool, flags: str) -> None:
        require(
            has_tls or self.insecure or is_loopback(host),
            field,
            host,
            f"127.0.0.1, ::1 or localhost without TLS: give {flags}, or --insecure to let anyone read along",
        )


class ClientSecurity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a client connects. Files are PEM, and are read when the client is made.

    With `tls`, and wherever a file is given, it speaks TLS: the server's certificate must come from an authority in
    `tls_ca`, by default from one that grpc brings along, and must be for the target's name, or for
    `tls_server_name`. `tls_client_cert` and `tls_client_key` are for servers that ask clients who they are, and `token`
    for those that ask for one; without TLS anyone on the way can read it. Raises ConfigurationError for half a pair of files,
    a name without TLS, and a token that no header can hold.
    """

    tls: bool = False
    tls_ca: Path | None = None
    tls_client_cert: Path | None = None
    tls_client_key: Path | None = None
    tls_server_name: str | None = None
    token: str | None = None

    def __post_init__(self) -> None:
        _require_pair("tls_client_cert", self.tls_client_cert, "tls_client_key", self.tls_client_key)
        require(
            self.tls_server_name is None or self.has_tls,
            "tls_server_name",
            self.tls_server_name,
            "none without TLS: it is not checked",
        )

        # Not shown as it was seen: messages end up in logs.
        require(self.token is None or _can_travel(self.token), "token", "…", "visible ASCII characters, without spaces")

    def __repr__(self) -> str:
        return f"ClientSecurity(tls={self.has_tls}, has_token={self.token is not None})"

    @property
    def has_tls(self) -> bool:
        """Whether it speaks TLS."""
        return self.tls or self.tls_ca is not None or self.tls_client_cert is not None


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches the host. A name is not looked up: what it means may change."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _can_travel(token: str) -> bool:
    return token.isascii() and token.isprintable() and bool(token) and " " not in token


def _require_pair(first: str, path: Path | None, second: str, other: Path | None) -> None:
    require(
        (path is None) == (other is None),
        second if other is None else first,
        None,
        f"a file, as {first if other is None else second} is given",
    )
