"""What grpcio itself costs for the same messages: a server that looks at none, and answers as many at once as offbeat does.

python -m benchmarks.streams.echo ANSWER_IN_HEX DELAY_US
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import grpc
import uvloop

_EOF = grpc.aio.EOF  # type: ignore[attr-defined]


class _Echo(grpc.GenericRpcHandler):
    """Any stream: the same answer for each message, those that come within `delay_s` in one message."""

    def __init__(self, answer: bytes, delay_s: float) -> None:
        self._answer = answer
        self._delay_s = delay_s

    def service(self, _: grpc.HandlerCallDetails) -> Any:
        """The handler of any method."""
        return grpc.stream_stream_rpc_method_handler(self._call)

    async def _call(self, _: object, context: Any) -> None:
        n_waiting, came = 0, asyncio.Event()

        async def write() -> None:
            nonlocal n_waiting
            while True:
                await came.wait()
                came.clear()
                await asyncio.sleep(self._delay_s)
                answers, n_waiting = self._answer * n_waiting, 0
                await context.write(answers)

        writer = asyncio.create_task(write())
        try:
            while await context.read() is not _EOF:
                n_waiting += 1
                came.set()
        finally:
            writer.cancel()


async def _serve(answer: bytes, delay_s: float) -> None:
    server = grpc.aio.server(handlers=(_Echo(answer, delay_s),), options=[("grpc.so_reuseport", 0)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"echo is ready on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


def main() -> None:
    """Serves until it is ended from outside."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(bytes.fromhex(sys.argv[1]), int(sys.argv[2]) * 1e-6))


if __name__ == "__main__":
    main()
