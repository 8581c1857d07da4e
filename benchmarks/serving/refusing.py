"""Bare grpcio servers that refuse every call, in one of the ways there are. `python -m benchmarks.serving.refusing WAY`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import grpc

_CODE = grpc.StatusCode.RESOURCE_EXHAUSTED
_DETAILS = "every queue is full, or too long for the 500 ms until the deadline; back off before trying again"


async def _answer(_: bytes, __: Any) -> bytes:
    return bytes(120)


async def _abort(_: Any, context: Any) -> None:
    await context.abort(_CODE, _DETAILS)


async def _set_status(_: Any, context: Any) -> None:
    context.set_code(_CODE)
    context.set_details(_DETAILS)


# A call of a stream comes without its message.
WAYS: dict[str, Callable[[], grpc.RpcMethodHandler[Any, Any] | None]] = {
    "answered": lambda: grpc.unary_unary_rpc_method_handler(_answer),
    "aborted after reading": lambda: grpc.unary_unary_rpc_method_handler(_abort),
    "aborted unread": lambda: grpc.stream_stream_rpc_method_handler(_abort),
    "status set unread": lambda: grpc.stream_stream_rpc_method_handler(_set_status),
    "no such method": lambda: None,
}


class _Refusing(grpc.GenericRpcHandler):
    def __init__(self, way: str) -> None:
        self._handler = WAYS[way]()

    def service(self, _: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler of any method."""
        return self._handler


async def _serve(way: str) -> None:
    server = grpc.aio.server(handlers=(_Refusing(way),), options=[("grpc.so_reuseport", 0)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"{way} is ready on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


def main() -> None:
    """Serves until it is ended from outside."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(sys.argv[1]))


if __name__ == "__main__":
    main()
