"""TLS on the server's side."""

from __future__ import annotations

from functools import partial

import grpc

from offbeat.certificates import Certificates, read_certificates
from offbeat.security_config import SecurityConfig
from offbeat.server.access.watched_files import WatchedFiles


def watched_certificates(security: SecurityConfig) -> WatchedFiles[Certificates]:
    """The configured files as they are, and will be.

    Raises ConfigurationError for files that cannot be used now; later ones that cannot change nothing.
    """
    paths = [path for path in (security.tls_cert, security.tls_key, security.tls_client_ca) if path is not None]
    return WatchedFiles(paths, partial(read_certificates, security.tls_cert, security.tls_key, security.tls_client_ca))


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
    pair = (certificates.key or b"", certificates.chain or b"")
    return grpc.ssl_server_certificate_configuration([pair], certificates.authorities)
