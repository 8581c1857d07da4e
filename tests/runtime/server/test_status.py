from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

import offbeat.server
from offbeat import errors
from offbeat.server.rpc.status import STATUS, details, status_code

DESIGNED = {
    errors.UnknownModelError: grpc.StatusCode.NOT_FOUND,
    errors.InvalidWindowError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.UnauthenticatedError: grpc.StatusCode.UNAUTHENTICATED,
    errors.ForbiddenError: grpc.StatusCode.PERMISSION_DENIED,
    errors.PreconditionError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.OverloadedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.DeadlineExceededError: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.RequestCancelledError: grpc.StatusCode.CANCELLED,
    errors.UnavailableError: grpc.StatusCode.UNAVAILABLE,
    errors.BackendError: grpc.StatusCode.INTERNAL,
}


def subclasses(kind: type[errors.OffbeatError]) -> Iterator[type[errors.OffbeatError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from subclasses(child)


def test_the_room_exports_the_server_and_how_to_run_it() -> None:
    assert offbeat.server.__all__ == ["Server", "run_server"]


@pytest.mark.parametrize("kind", sorted(set(subclasses(errors.OffbeatError)), key=lambda kind: kind.__name__))
def test_every_error_has_the_designed_status_and_what_no_caller_can_cause_is_internal(
    kind: type[errors.OffbeatError],
) -> None:
    assert status_code(kind("x")) is DESIGNED.get(kind, grpc.StatusCode.INTERNAL)


def test_the_table_has_a_row_for_each_designed_status_and_the_base() -> None:
    assert set(STATUS) == {*DESIGNED, errors.OffbeatError}


def test_a_subclass_without_a_row_has_the_status_of_its_parent() -> None:
    class StillLoadingError(errors.UnavailableError):
        pass

    assert status_code(StillLoadingError("x")) is grpc.StatusCode.UNAVAILABLE


def test_details_fit_into_a_header_whatever_the_caller_has_sent() -> None:
    told = details(errors.UnknownModelError("\U0001f600" * 100_000))
    assert told.endswith("(100000 characters)")
    assert len(told.encode()) * 3 < 8192
