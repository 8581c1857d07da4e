"""Certificates for tests, made by the openssl command."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def _can_sign() -> bool:
    found = shutil.which("openssl")
    if found is None:
        return False
    version = subprocess.run([found, "version"], capture_output=True, text=True, timeout=60, check=False).stdout
    return version.startswith(("OpenSSL 3", "OpenSSL 4"))


# For decorating tests that cannot do without.
needs_openssl = pytest.mark.skipif(not _can_sign(), reason="the openssl command, from 3.0, makes the certificates")


class Authority:
    """An authority of one's own in a folder, and the certificates that it signs."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self.ca, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        _openssl(*_new(self._key, self.ca, name), "-addext", "basicConstraints=critical,CA:TRUE")

    def issue(self, name: str, address: str = "127.0.0.1", curve: str = "prime256v1") -> tuple[Path, Path]:
        """Files of a certificate for the name, as DNS name and for that address, and of its key."""
        cert, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        signed = ("-CA", str(self.ca), "-CAkey", str(self._key))
        _openssl(*_new(key, cert, name, curve), *signed, "-addext", f"subjectAltName=DNS:{name},IP:{address}")
        return cert, key


def _new(key: Path, cert: Path, name: str, curve: str = "prime256v1") -> tuple[str, ...]:
    kind = ("-newkey", "ec", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-noenc")
    return ("req", "-x509", *kind, "-days", "60", "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(cert))


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)
