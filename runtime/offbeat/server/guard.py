"""Who may call what."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import grpc

from offbeat.errors import ForbiddenError, OffbeatError, UnauthenticatedError
from offbeat.server.boundary import Boundary, Context, Handler
from offbeat.server.tokens import Tokens, read_tokens
from offbeat.server.watched_files import WatchedFiles

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


class GuardedService(grpc.GenericRpcHandler):
    """A service that only bearers of a token reach, and some of its methods only admins.

    It stands where grpc looks a method up, before anything of the request is read, and leaves the method itself as it is.
    """

    def __init__(
        self, service: grpc.GenericRpcHandler, admin: frozenset[str], tokens: WatchedFiles[Tokens], boundary: Boundary
    ) -> None:
        self._service = service
        self._admin = admin
        self._tokens = tokens
        self._boundary = boundary

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """The method, or one that refuses the call; None for a method that is not of this service."""
        method: grpc.RpcMethodHandler[bytes, bytes] | None = self._service.service(handler_call_details)
        if method is None:
            return None
        name = handler_call_details.method
        for key, value in handler_call_details.invocation_metadata:
            if key == "authorization":
                role = self._tokens.latest().role(str(value))
                if role == "admin" or (role == "user" and name not in self._admin):
                    return method
                return self._refusal(name, None if role is None else _forbidden(name))
        return self._refusal(name, None)

    def _refusal(self, method: str, error: OffbeatError | None) -> Handler:
        told = error or UnauthenticatedError("no valid token; expected the header 'authorization: Bearer <token>'")
        traffic = self._boundary.traffic.methods.get(method.rpartition("/")[2])
        if traffic is not None:
            self._boundary.count_refusal(traffic, "", told)
        # Does for calls of every kind: they end before a message is read.
        return grpc.stream_stream_rpc_method_handler(partial(_refuse, self._boundary, told))


def guarded(services: Sequence[Service], token_file: Path | None, boundary: Boundary) -> list[grpc.GenericRpcHandler]:
    """The services' methods, behind a guard where there is a file of tokens.

    Raises ConfigurationError for a file that cannot be used now.
    """
    if token_file is None:
        return [service.handlers() for service in services]
    tokens = WatchedFiles([token_file], partial(read_tokens, token_file), LOOK_INTERVAL_S)
    return [
        GuardedService(
            service.handlers(), frozenset(f"/{service.NAME}/{method}" for method in service.ADMIN), tokens, boundary
        )
        for service in services
    ]


async def _refuse(boundary: Boundary, error: OffbeatError, _: object, context: Context) -> None:
    await boundary.abort(context, error)


def _forbidden(method: str) -> ForbiddenError:
    return ForbiddenError(f"{method} is for admins; expected a token of the role admin")
