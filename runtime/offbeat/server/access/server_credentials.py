"""TLS on the server's side."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import grpc

from offbeat.certificates import Certificates, read_certificates
from offbeat.errors import ConfigurationError
from offbeat.security_config import SecurityConfig
from offbeat.server.access.watched_files import WatchedFiles

_PROBE = "127.0.0.1:0"


def read_server_certificates(security: SecurityConfig) -> Certificates:
    """The configured files. Raises ConfigurationError, naming the file, unless they are what they are given for, also in grpc's eyes.

    Its TLS knows fewer kinds of keys than OpenSSL: it would not listen, or quietly go on with the certificate before.
    """
    read = read_certificates(security.tls_cert, security.tls_key, security.tls_client_ca)
    if not _is_taken(read):
        given = ", ".join(str(path) for path in (security.tls_cert, security.tls_client_ca) if path is not None)
        raise ConfigurationError(
            f"{given}: grpc's TLS cannot use it; expected certificates for keys of RSA, or EC on P-256 or P-384"
        )
    return read


def watched_certificates(security: SecurityConfig) -> WatchedFiles[Certificates]:
    """The configured files as they are, and will be.

    Raises ConfigurationError for files that cannot be used now; later ones that cannot change nothing.
    """
    paths = [path for path in (security.tls_cert, security.tls_key, security.tls_client_ca) if path is not None]
    return WatchedFiles(paths, partial(read_server_certificates, security))


def server_credentials(watched: WatchedFiles[Certificates]) -> grpc.ServerCredentials:
    """Credentials of the files; connections made after these change get the new ones.

    With authorities among them, clients have to show certificates.
    """
    in_use = watched.latest()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        """Asked by grpc, in a thread of its own, before each handshake; None leaves what there is."""
        nonlocal in_use
        latest = watched.latest()
        if latest is in_use:
            return None
        in_use = latest
        return _configuration(latest)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(in_use),
        changed,  # type: ignore[arg-type]  # the stubs do not know that None is allowed
        require_client_authentication=in_use.authorities is not None,
    )


def _configuration(certificates: Certificates) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([_pair(certificates)], certificates.authorities)


def _pair(certificates: Certificates) -> tuple[bytes, bytes]:
    return certificates.key or b"", certificates.chain or b""


def _is_taken(certificates: Certificates) -> bool:
    """Whether grpc takes these for a server; true also where it cannot be asked. A few milliseconds."""
    credentials = grpc.ssl_server_credentials([_pair(certificates)], certificates.authorities)
    return _listens(credentials) or not _listens(None)


def _listens(credentials: grpc.ServerCredentials | None) -> bool:
    """Whether a server without services, gone at once, could."""
    asked = grpc.server(ThreadPoolExecutor(1))
    try:
        if credentials is None:
            asked.add_insecure_port(_PROBE)
        else:
            asked.add_secure_port(_PROBE, credentials)
    except RuntimeError:
        return False
    # One that was never started would keep its socket.
    asked.start()
    asked.stop(None).wait()
    return True
