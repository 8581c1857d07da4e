"""Failures that are ours: told to the caller by a number, and to the log in full."""

from __future__ import annotations

import logging
import secrets
import threading
from time import monotonic

from offbeat.errors import BackendError

_logger = logging.getLogger("offbeat.server")
# An engine that is broken fails with every request, thousands of times a second, and each trace has a dozen lines.
_SAME_S = 1.0


class Incidents:
    """Numbers failures: what fails at the same place with the same words within a second is one incident. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # By place and words: the number, until when it is that one's, and how many more there were.
        self._recent: dict[tuple[str, type[BaseException], str], tuple[str, float, int]] = {}

    def number(self, where: str, error: BaseException, now: float) -> tuple[str, str | None]:
        """The failure's number, and what to say of it in the log; None where that has been said."""
        key = where, type(error), str(error)
        with self._lock:
            number, until, n_more = self._recent.get(key, ("", now, 0))
            if now < until:
                self._recent[key] = number, until, n_more + 1
                return number, None
            self._recent = {each: told for each, told in self._recent.items() if now < told[1]}
            before = f"; {n_more} times more as incident {number}" if n_more else ""
            number = secrets.token_hex(4)
            self._recent[key] = number, now + _SAME_S, 0
        return number, f"{where} failed{before}"


# One for the process, as its log is.
_incidents = Incidents()


def incident(where: str, error: BaseException) -> BackendError:
    """Logs the error with its trace, and returns what the caller may know of it: where, and the incident's id."""
    number, told = _incidents.number(where, error, monotonic())
    if told is not None:
        _logger.error("incident %s: %s", number, told, exc_info=error, extra={"incident": number})
    return BackendError(f"{where} failed; the server's log tells more of incident {number}")
