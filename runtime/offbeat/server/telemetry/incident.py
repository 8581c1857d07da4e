"""Failures that are ours: told to the caller by a number, and to the log in full."""

from __future__ import annotations

import logging
import secrets

from offbeat.errors import BackendError

_logger = logging.getLogger("offbeat.server")


def incident(where: str, error: BaseException) -> BackendError:
    """Logs the error with its trace, and returns what the caller may know of it: where, and the incident's id."""
    number = secrets.token_hex(4)
    _logger.error("incident %s: %s failed", number, where, exc_info=error, extra={"incident": number})
    return BackendError(f"{where} failed; the server's log tells more of incident {number}")
