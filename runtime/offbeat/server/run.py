"""A server as a process."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine

import grpc
from google.protobuf.message import DecodeError

from offbeat.config import ServerConfig
from offbeat.server.heap import share_one_heap
from offbeat.server.server import Server

_logger = logging.getLogger("offbeat.server")
# How long one thread may keep the interpreter's lock from another that waits for it, instead of Python's 5 ms: a worker takes
# it for some µs before and after each batch, and the loop has little to do at once.
_SWITCH_INTERVAL_S = 30e-6
# New objects after which Python looks for unreachable ones, instead of 700: that many are soon under way with a few requests,
# and would be looked at over and over. Not many more: a request leaves ten behind, and freeing 10,000 at once holds one in a thousand up for 1 ms.
_GC_THRESHOLDS = (2_000, 100, 50)
_STANDARD_ERROR = 2


def run_server(config: ServerConfig, on_ready: Callable[[int], None] | None = None) -> None:
    """Serves until SIGTERM, SIGINT or SIGHUP, then drains and returns; a second signal stops at once.

    `on_ready` is called with the port when every model takes requests. Must run in the main thread, of a process that is for
    this: its threads share one heap and take turns more often, and its garbage is collected less often. Raises what `Server.start` raises.
    """
    _fill_standard_files()
    share_one_heap()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    gc.set_threshold(*_GC_THRESHOLDS)
    logging.getLogger("grpc._cython.cygrpc").addFilter(_is_no_callers_doing)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(Server(config), on_ready))


def _fill_standard_files() -> None:
    """Opens what a supervisor has closed of the first three files: a socket in their place ends the process when uvloop closes it."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        pass
    os.close(descriptor)


def _is_no_callers_doing(record: logging.LogRecord) -> bool:
    """Leaves out the traces that grpc logs, thousands a second where callers want that.

    One is of an answer whose client went just before, the other of bytes that are no message of health, reflection or channelz, which
    grpc parses itself.
    """
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, (grpc.aio.InternalError, DecodeError))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's loop, which answers a sixth more requests, where it is installed (it has no wheels for Windows)."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(server: Server, on_ready: Callable[[int], None] | None) -> None:
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # As nohup leaves it to those who are to outlive their terminal.
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, signals.put_nowait, number)
    try:
        if not await _interruptible(server.start(), signals):
            return
        if on_ready is not None:
            on_ready(server.port)
        received = await signals.get()
        _logger.info("%s: draining", received.name)
        await _interruptible(server.drain(), signals)
    finally:
        await server.stop()


async def _interruptible(step: Coroutine[None, None, None], signals: asyncio.Queue[signal.Signals]) -> bool:
    """Runs the step; False where a signal came first, and the step was cancelled."""
    running, signalled = asyncio.ensure_future(step), asyncio.ensure_future(signals.get())
    await asyncio.wait((running, signalled), return_when=asyncio.FIRST_COMPLETED)
    if not running.done():
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return False
    if not signalled.cancel():
        signals.put_nowait(signalled.result())
    await running
    return True
