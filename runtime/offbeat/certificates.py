"""Certificates and keys from PEM files, checked before anybody relies on them."""

from __future__ import annotations

import ssl
from datetime import datetime
from pathlib import Path

import msgspec

from offbeat.errors import ConfigurationError

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
# The tag of the version, which the first certificates had none of, and the length of a time with four digits of its year.
_VERSION, _GENERALIZED = 0xA0, 15
# A chain, or a list of authorities, is some KiB; grpc's own list of all that there are has 260 KiB.
_MAX_BYTES = 4 * 2**20


class Certificates(msgspec.Struct, frozen=True, kw_only=True):
    """What the files hold: one's own chain with its key, and the authorities that are believed. None where not given."""

    chain: bytes | None = None
    key: bytes | None = None
    authorities: bytes | None = None


def read_certificates(chain: Path | None, key: Path | None, authorities: Path | None) -> Certificates:
    """The files' bytes. Raises ConfigurationError, naming the file, unless they are what they are given for.

    OpenSSL's word is taken: that a key fits its certificate. Whether a certificate is still valid is for the other side to say.
    """
    read = Certificates(chain=_read(chain), key=_read(key), authorities=_read(authorities))
    server_context(chain, key, authorities)
    return read


def server_context(chain: Path | None, key: Path | None, authorities: Path | None) -> ssl.SSLContext:
    """The server's side of TLS, by OpenSSL; with `authorities` clients have to show certificates. Raises ConfigurationError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if chain is not None:
        try:
            # Without a password of ours OpenSSL would ask for one on the terminal, and wait.
            context.load_cert_chain(chain, key, password=lambda: "")
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"{chain}, {key}: {_reason(error)}; expected a chain of certificates and the first one's private key, "
                "in PEM and not encrypted"
            ) from error
    if authorities is not None:
        try:
            context.load_verify_locations(cafile=authorities)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{authorities}: {_reason(error)}; expected certificates in PEM") from error
        context.verify_mode = ssl.CERT_REQUIRED
        # As grpc does: an authority is believed where it stands in the file, whoever has signed it.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def expiry(chain: bytes) -> float | None:
    """When the first of the PEM certificates to end does, in seconds since 1970; None where none says so in a known form."""
    blocks = chain.decode("ascii", "replace").split(_END)[:-1]
    ends = [_not_after(_BEGIN + block.rpartition(_BEGIN)[2] + _END) for block in blocks]
    return min((end for end in ends if end is not None), default=None)


def _not_after(certificate: str) -> float | None:
    """The end of a certificate's validity (RFC 5280, 4.1): the second time of the fourth field, or fifth behind a version."""
    try:
        der = ssl.PEM_cert_to_DER_cert(certificate)
        place = _content(der, _content(der, 0)[0])[0]
        if der[place] == _VERSION:
            place = _content(der, place)[1]
        for _ in ("serial number", "signature", "issuer"):
            place = _content(der, place)[1]
        not_before = _content(der, place)[0]
        start, end = _content(der, _content(der, not_before)[1])
        text = der[start:end].decode("ascii")
        # Two digits of a year stand for 1950 to 2049.
        year = "" if len(text) == _GENERALIZED else "19" if text[0] >= "5" else "20"
        return datetime.strptime(f"{year}{text}+0000", "%Y%m%d%H%M%SZ%z").timestamp()
    except (IndexError, ValueError):
        return None


def _content(der: bytes, place: int) -> tuple[int, int]:
    """Where the content of the element at a place begins, and ends (X.690, 8.1)."""
    length, start = der[place + 1], place + 2
    if length & 0x80:
        n_bytes = length & 0x7F
        length = int.from_bytes(der[start : start + n_bytes], "big")
        start += n_bytes
    return start, start + length


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}; expected a PEM file") from error
    if len(content) > _MAX_BYTES:
        raise ConfigurationError(f"{path}: more than {_MAX_BYTES:,} bytes; expected a PEM file")
    return content


def _reason(error: Exception) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else None
    return str(reason or error).replace("_", " ").lower()
