"""What each status on the wire is called here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import grpc

from offbeat.errors import (
    BackendError,
    DeadlineExceededError,
    ForbiddenError,
    InvalidWindowError,
    OffbeatError,
    OverloadedError,
    PreconditionError,
    RequestCancelledError,
    UnauthenticatedError,
    UnavailableError,
    UnknownModelError,
)

ERRORS: dict[grpc.StatusCode, type[OffbeatError]] = {
    grpc.StatusCode.NOT_FOUND: UnknownModelError,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidWindowError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
    grpc.StatusCode.PERMISSION_DENIED: ForbiddenError,
    grpc.StatusCode.FAILED_PRECONDITION: PreconditionError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: OverloadedError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
    grpc.StatusCode.CANCELLED: RequestCancelledError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.UNIMPLEMENTED: UnavailableError,
    grpc.StatusCode.INTERNAL: BackendError,
    grpc.StatusCode.UNKNOWN: BackendError,
    grpc.StatusCode.DATA_LOSS: BackendError,
}
_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


def error_of(code: grpc.StatusCode, details: str | None, target: str) -> OffbeatError:
    """The error that a status stands for; `target` is named where nobody there has spoken."""
    text = details or code.name
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "message larger than max" in text:
        # grpc's own words, from either side. Backing off, as for a full queue, would never help.
        return InvalidWindowError(f"{target}: {text}; send fewer windows at once, or raise max_message_bytes")
    kind = ERRORS.get(code, OffbeatError)
    return kind(f"{target}: {text}" if kind in (UnavailableError, OffbeatError) else text)


def error_of_number(code: int, details: str, target: str) -> OffbeatError:
    """The error that a refusal on a stream stands for; `code` is a google.rpc.Code."""
    return error_of(_CODES.get(code, grpc.StatusCode.UNKNOWN), details, target)


@contextmanager
def translated(target: str, is_closed: Callable[[], bool]) -> Iterator[None]:
    """Lets no exception of grpc's out: raises the OffbeatError that its status stands for.

    What fails because the client was closed, before the call or during it, is a RequestCancelledError that says so.
    """
    try:
        yield
    except OffbeatError:
        raise
    except grpc.RpcError as error:
        # Every RpcError that grpc raises from a call is that call, too.
        call = cast(grpc.Call, error)
        if call.code() is grpc.StatusCode.CANCELLED and is_closed():
            raise _closed(target) from error
        raise error_of(call.code(), call.details(), target) from error
    except (ValueError, grpc.aio.UsageError) as error:
        # All that grpc itself raises for a closed channel.
        if not is_closed():
            raise
        raise _closed(target) from error
    except asyncio.CancelledError as error:
        # grpc.aio cancels the calls of a channel that is closed, and whoever waits for them was not cancelled itself.
        task = asyncio.current_task()
        if not is_closed() or (task is not None and task.cancelling()):
            raise
        raise _closed(target) from error


def _closed(target: str) -> RequestCancelledError:
    return RequestCancelledError(f"{target}: this client is closed; expected an open one: make another")
