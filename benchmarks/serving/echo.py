"""The floor: a bare grpcio server that answers every message with the same bytes. `python -m benchmarks.serving.echo LOOP BYTES`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc


class _Echo(grpc.GenericRpcHandler):
    """Answers any method; those whose name ends in Stream once for each message of a stream."""

    def __init__(self, answer: bytes) -> None:
        async def unary(_: bytes, __: Any) -> bytes:
            return answer

        async def stream(messages: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
            async for _message in messages:
                yield answer

        self._unary = grpc.unary_unary_rpc_method_handler(unary)
        self._stream = grpc.stream_stream_rpc_method_handler(stream)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        """The handler of any method."""
        return self._stream if handler_call_details.method.endswith("Stream") else self._unary


async def _serve(answer: bytes) -> None:
    server = grpc.aio.server(handlers=(_Echo(answer),), options=[("grpc.so_reuseport", 0)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"echo is ready on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


def main() -> None:
    """Serves until it is ended from outside."""
    loop, n_bytes = sys.argv[1], int(sys.argv[2])
    factory = None
    if loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve(bytes(n_bytes)))


if __name__ == "__main__":
    main()
