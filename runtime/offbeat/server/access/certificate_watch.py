"""Saying in time that the server's certificate expires."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic, time

from offbeat.certificates import Certificates, expiry
from offbeat.server.access.watched_files import WatchedFiles

_logger = logging.getLogger("offbeat.server")
_DAY_S = 86_400
_INTERVAL_S = 3600.0
# Renewed certificates are usually there a month before; who is warned has time to find out why this one is not.
WARNING_DAYS = 14


class CertificateWatch:
    """Logs once a day when the certificate that lies there now has few days left, or none. Making it starts nothing."""

    def __init__(self, certificates: WatchedFiles[Certificates]) -> None:
        self._certificates = certificates
        self._timer: asyncio.TimerHandle | None = None
        self._next_line = 0.0

    def expires(self) -> float | None:
        """When the first certificate of the chain ends, in seconds since 1970; None where it does not say so in a known form."""
        chain = self._certificates.latest().chain
        return None if chain is None else expiry(chain)

    def start(self) -> None:
        """Looks now, and every hour."""
        self._timer = asyncio.get_running_loop().call_later(_INTERVAL_S, self.start)
        expires, now, at = self.expires(), time(), monotonic()
        if expires is None or at < self._next_line or expires > now + WARNING_DAYS * _DAY_S:
            return
        # By a clock that nobody sets: one that was years ahead would keep this quiet until then.
        self._next_line = at + _DAY_S
        days = (expires - now) / _DAY_S
        what = f"expires in {days:.1f} days" if days > 0 else f"expired {-days:.1f} days ago"
        _logger.warning("the server's certificate %s; expected a newer one in its file", what)

    def stop(self) -> None:
        """Looks no more."""
        if self._timer is not None:
            self._timer.cancel()
