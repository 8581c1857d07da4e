"""What each error is called over HTTP."""

from __future__ import annotations

from grpc import StatusCode

from offbeat.errors import OffbeatError
from offbeat.server.rpc.status import status_code

# Google's mapping (google/rpc/code.proto); 499 is what nobody is left to read.
HTTP_STATUS = {
    StatusCode.NOT_FOUND: 404,
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.UNAUTHENTICATED: 401,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.DEADLINE_EXCEEDED: 504,
    StatusCode.CANCELLED: 499,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.INTERNAL: 500,
}


def http_status(error: OffbeatError) -> int:
    """The status of an error."""
    return HTTP_STATUS[status_code(error)]
