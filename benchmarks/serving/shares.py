"""Where the time of a request goes: the queue, the backend, the codec, and the transport."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

ECHO = "echo (asyncio)"


class Timed(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed of a line of results: medians in µs of a server in a case."""

    server: str
    case: dict[str, Any]
    p50: float
    queue_us: float
    compute_us: float


class Shares(msgspec.Struct, frozen=True, kw_only=True):
    """Of the median latency of a server in a case; they sum to 1.

    `queue` and `compute` are what the replies tell. `codec` is all else that the server does for a request (reading and checking its bytes,
    writing the answer, counting it): with one in flight the µs beyond the echo's, queue and compute taken off, and under load as many. The rest
    is `transport`: grpc, the loop and the kernel, and waiting for them.
    """

    server: str
    case: dict[str, Any]
    queue: float
    compute: float
    codec: float
    transport: float


def shares(lines: Sequence[Mapping[str, Any]]) -> list[Shares]:
    """Of every line, as it stands in a results file, whose replies told their timing; streams' do not."""
    echo_us = {_key(line["case"]): line["p50"] for line in lines if line["server"] == ECHO}
    told = [msgspec.convert(line, Timed) for line in lines if line["queue_us"] is not None]
    alone = [line for line in told if line.case["concurrency"] == 1 and line.case["share"] is None]
    codec_us = {_way(line): _beyond(line, echo_us[_key(line.case)]) for line in alone}
    return [_shares(line, codec_us.get(_way(line), 0.0)) for line in told]


def _key(case: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple(case[name] for name in ("protocol", "n_windows", "concurrency", "share"))


def _way(line: Timed) -> tuple[object, ...]:
    return line.server, line.case["protocol"], line.case["n_windows"]


def _beyond(line: Timed, echo_us: float) -> float:
    """No less than nothing: a server may be quicker than the echo by as much as runs differ."""
    return max(0.0, line.p50 - echo_us - line.queue_us - line.compute_us)


def _shares(line: Timed, codec_us: float) -> Shares:
    """Medians of different requests: where they exceed the whole together, the queue's is cut."""
    compute = min(line.compute_us, line.p50)
    queue = min(line.queue_us, line.p50 - compute)
    codec = min(codec_us, line.p50 - compute - queue)
    transport = line.p50 - compute - queue - codec
    parts = {"queue": queue, "compute": compute, "codec": codec, "transport": transport}
    return Shares(server=line.server, case=line.case, **{name: us / line.p50 for name, us in parts.items()})
