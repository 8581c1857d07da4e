"""Who may call what on a port, whatever its protocol."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import grpc

from offbeat.errors import ForbiddenError, OffbeatError, UnauthenticatedError
from offbeat.server.access.tokens import Tokens, read_tokens
from offbeat.server.access.watched_files import WatchedFiles

# Seconds between two looks at the file: not one for each request.
LOOK_INTERVAL_S = 1.0


class Service(Protocol):
    """A service by its name, and those of its methods that are for admins."""

    @property
    def NAME(self) -> str:  # noqa: N802 - a constant
        """The full name."""
        ...

    @property
    def ADMIN(self) -> Sequence[str]:  # noqa: N802 - a constant
        """Methods for admins."""
        ...

    def handlers(self) -> grpc.GenericRpcHandler:
        """The methods by name."""
        ...


class Gate:
    """Asks for a token where there are `tokens`, and for an admin's at the services' methods for admins.

    Without `admits_admins` nobody reaches these here: they are on a port of their own. May be asked from any thread.
    """

    def __init__(
        self, services: Iterable[Service], tokens: WatchedFiles[Tokens] | None, *, admits_admins: bool = True
    ) -> None:
        self._admin = frozenset(f"/{service.NAME}/{method}" for service in services for method in service.ADMIN)
        self._tokens = tokens
        self._admits_admins = admits_admins

    @property
    def is_open(self) -> bool:
        """Whether everyone may call everything."""
        return self._tokens is None and self._admits_admins

    def refusal(self, method: str, authorization: str | None) -> OffbeatError | None:
        """Why a call of `/service/Method` with this header is refused; None where it is not."""
        if method in self._admin and not self._admits_admins:
            return ForbiddenError(f"{method} is not served on this port; expected a call of the server's admin_port")
        if self._tokens is None:
            return None
        role = None if authorization is None else self._tokens.latest().role(authorization)
        if role is None:
            return UnauthenticatedError("no valid token; expected the header 'authorization: Bearer <token>'")
        if role != "admin" and method in self._admin:
            return ForbiddenError(f"{method} is for admins; expected a token of the role admin")
        return None


def watched_tokens(token_file: Path | None) -> WatchedFiles[Tokens] | None:
    """The tokens of the file as it is now and will be; None without one.

    Raises ConfigurationError for a file that cannot be used now.
    """
    if token_file is None:
        return None
    return WatchedFiles([token_file], partial(read_tokens, token_file), LOOK_INTERVAL_S)
