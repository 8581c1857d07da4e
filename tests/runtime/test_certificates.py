"""When certificates end, and that it is said in time."""

from __future__ import annotations

import asyncio
import logging
import ssl
import subprocess
from pathlib import Path

import pytest

from offbeat.certificates import expiry
from offbeat.security_config import SecurityConfig
from offbeat.server.access import certificate_watch
from offbeat.server.access.certificate_watch import CertificateWatch
from offbeat.server.access.server_credentials import watched_certificates

from .authority import needs_openssl

pytestmark = needs_openssl
DAY_S = 86_400


def openssl(*arguments: object) -> str:
    command = ["openssl", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def issued(folder: Path, days: int) -> tuple[Path, Path]:
    cert, key = folder / f"{days}.pem", folder / f"{days}.key"
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")
    openssl("req", "-x509", *kind, "-days", days, "-subj", "/CN=x", "-keyout", key, "-out", cert)
    return cert, key


def told_by_openssl(path: Path) -> float:
    told = openssl("x509", "-enddate", "-noout", "-in", path)
    return ssl.cert_time_to_seconds(told.strip().removeprefix("notAfter="))


@pytest.mark.parametrize("days", [2, 20_000])
def test_the_end_is_the_one_that_openssl_reads_also_beyond_2050(tmp_path: Path, days: int) -> None:
    cert, _ = issued(tmp_path, days)
    assert expiry(cert.read_bytes()) == told_by_openssl(cert)


def test_two_digits_of_a_year_stand_for_1950_to_2049(tmp_path: Path) -> None:
    der = ssl.PEM_cert_to_DER_cert(issued(tmp_path, 2)[0].read_text())
    # The second UTCTime is the end; nobody looks at the signature here.
    place = der.index(b"\x17\x0d", der.index(b"\x17\x0d") + 1) + 2
    for text, told in ((b"991231235959Z", "Dec 31 23:59:59 1999 GMT"), (b"491231235959Z", "Dec 31 23:59:59 2049 GMT")):
        changed = ssl.DER_cert_to_PEM_cert(der[:place] + text + der[place + len(text) :])
        assert expiry(changed.encode()) == ssl.cert_time_to_seconds(told)


def test_of_a_chain_the_first_end_counts_and_what_is_no_certificate_has_none(tmp_path: Path) -> None:
    certs = [issued(tmp_path, days)[0] for days in (300, 2)]
    assert expiry(b"words\n" + b"".join(cert.read_bytes() for cert in certs)) == told_by_openssl(certs[1])
    good = certs[0].read_bytes()
    begin, end = b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n"
    for bad in (
        b"",
        b"noise",
        begin + end,
        begin + b"AAAA\n" + end,
        begin + b"MIIB\n" + end,
        begin + good[60:120] + end,
    ):
        assert expiry(bad) is None


@pytest.mark.parametrize(("days", "n_lines"), [(2, 1), (30, 0)])
def test_an_end_that_is_near_is_told_once_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, days: int, n_lines: int
) -> None:
    monkeypatch.setattr(certificate_watch, "_INTERVAL_S", 0.01)
    cert, key = issued(tmp_path, days)

    async def look() -> float | None:
        watch = CertificateWatch(watched_certificates(SecurityConfig(tls_cert=cert, tls_key=key)))
        watch.start()
        await asyncio.sleep(0.1)
        watch.stop()
        return watch.expires()

    with caplog.at_level(logging.WARNING, "offbeat.server"):
        assert asyncio.run(look()) == told_by_openssl(cert)
        monkeypatch.setattr(certificate_watch, "time", lambda: told_by_openssl(cert) + DAY_S)
        asyncio.run(look())
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == n_lines + 1
    assert told[-1] == "the server's certificate expired 1.0 days ago; expected a newer one in its file"
    assert all("expires in 2.0 days" in line for line in told[:-1])


def test_a_clock_that_was_years_ahead_does_not_keep_the_warning_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cert, key = issued(tmp_path, 2)
    ends, elapsed = told_by_openssl(cert), 0.0
    monkeypatch.setattr(certificate_watch, "monotonic", lambda: elapsed)

    async def look() -> None:
        nonlocal elapsed
        watch = CertificateWatch(watched_certificates(SecurityConfig(tls_cert=cert, tls_key=key)))
        for now in (ends + 3650 * DAY_S, ends - DAY_S):
            monkeypatch.setattr(certificate_watch, "time", lambda now=now: now)
            watch.start()
            watch.stop()
            elapsed += 1.1 * DAY_S

    asyncio.run(look())
    told = [record.getMessage().partition(";")[0] for record in caplog.records]
    assert [line.removeprefix("the server's certificate ") for line in told] == [
        "expired 3650.0 days ago",
        "expires in 1.0 days",
    ]
