"""What each error is called on the wire."""

from __future__ import annotations

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
from offbeat.telling import in_lines

# A subclass has the status of its nearest ancestor here. What has no row of its own is nothing a caller did wrong.
STATUS: dict[type[OffbeatError], grpc.StatusCode] = {
    UnknownModelError: grpc.StatusCode.NOT_FOUND,
    InvalidWindowError: grpc.StatusCode.INVALID_ARGUMENT,
    UnauthenticatedError: grpc.StatusCode.UNAUTHENTICATED,
    ForbiddenError: grpc.StatusCode.PERMISSION_DENIED,
    PreconditionError: grpc.StatusCode.FAILED_PRECONDITION,
    OverloadedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    DeadlineExceededError: grpc.StatusCode.DEADLINE_EXCEEDED,
    RequestCancelledError: grpc.StatusCode.CANCELLED,
    UnavailableError: grpc.StatusCode.UNAVAILABLE,
    BackendError: grpc.StatusCode.INTERNAL,
    OffbeatError: grpc.StatusCode.INTERNAL,
}

# Details travel in a header, and clients drop a reply whose headers exceed 8 KiB. Each character may take up to 12 bytes.
_MAX_DETAILS = 600


def status_code(error: OffbeatError) -> grpc.StatusCode:
    """The status of an error."""
    return STATUS.get(type(error)) or next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def details(error: OffbeatError) -> str:
    """The message of an error, short enough for a header whatever the caller has put into it.

    Names of files are in it, which may be no text: grpc could not send it as it is, and would never end the call.
    """
    text = in_lines(str(error))
    return text if len(text) <= _MAX_DETAILS else f"{text[:_MAX_DETAILS]} … ({len(text)} characters)"
