"""One phase of the run: several clients at once, and the server's memory and processor time meanwhile."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from benchmarks.endurance.load import Counted, Load
from benchmarks.endurance.messages import Question
from benchmarks.endurance.tally import Counts, together
from benchmarks.processor import cpu_s
from benchmarks.progress import tell
from benchmarks.start.memory import resident

_SAMPLE_S = 1.0
_TOLD_EVERY = 30


def run_phase(load: Load, n_clients: int, server: int, questions: Callable[[], list[Question]]) -> dict[str, Any]:
    """Splits the load's rates evenly over so many processes, each with `questions` of its own. `server` is the server's process id."""
    part = msgspec.structs.replace(
        load,
        rate=load.rate / n_clients,
        stream_rate=load.stream_rate / n_clients,
        concurrency=load.concurrency // n_clients,
    )
    loads = [msgspec.structs.replace(part, seed=seed, questions=questions()) for seed in range(n_clients)]
    memory, ended = [resident(server)["rss_mib"]], threading.Event()

    def watch() -> None:
        while not ended.wait(_SAMPLE_S):
            memory.append(resident(server)["rss_mib"])
            if len(memory) % _TOLD_EVERY == 0:
                tell(f"{len(memory) * _SAMPLE_S:.0f} s: the server has {memory[-1]:.1f} MiB")

    watcher = threading.Thread(target=watch)
    watcher.start()
    began_cpu, began = cpu_s(server), time.perf_counter()
    try:
        counted = _together(loads)
    finally:
        ended.set()
        watcher.join()
    server_cpu = (cpu_s(server) - began_cpu) / (time.perf_counter() - began)
    return {**figures(load, counted), "server_of_a_core": round(server_cpu, 3), **_memory(memory)}


def _together(loads: Sequence[Load]) -> list[Counted]:
    command = [sys.executable, "-m", "benchmarks.endurance.load"]
    clients = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in loads]
    for client, load in zip(clients, loads, strict=True):
        assert client.stdin is not None
        client.stdin.write(msgspec.json.encode(load))
        client.stdin.close()
    told = []
    for client in clients:
        assert client.stdout is not None
        told.append(client.stdout.read())
        client.stdout.close()
    ended = [client.wait() for client in clients]
    if any(ended):
        raise SystemExit("a client failed; its words are above")
    return [msgspec.json.decode(each, type=Counted) for each in told]


def figures(load: Load, counted: Sequence[Counted]) -> dict[str, Any]:
    """What the clients counted, together: every request, whether it came as a call or on a stream.

    Latencies are those of the calls, or, where there are none, of the streams, whose requests have no deadline.
    """
    seconds = max(each.seconds for each in counted)
    calls, stream = together([each.calls for each in counted]), together([each.stream for each in counted])
    both, timed = together([calls, stream]), calls if load.has_calls else stream
    return {
        "seconds": round(seconds, 2),
        "asked_per_s": round(load.rate + load.stream_rate, 1),
        "sent_per_s": round(both.n_sent / seconds, 1),
        "right_per_s": round(both.n_right / seconds, 1),
        **_told(both),
        "stream": _told(stream),
        "latency_ms": _percentiles(timed.latencies),
        "latency_from_due_ms": _percentiles(timed.latencies_from_due),
        "late_s": round(max(each.late_s for each in counted), 3),
        "clients_of_a_core": round(sum(each.cpu_s for each in counted) / seconds, 3),
    }


def _told(counts: Counts) -> dict[str, Any]:
    return {
        "n_sent": counts.n_sent,
        "n_right": counts.n_right,
        "n_wrong": counts.n_wrong,
        "n_unanswered": counts.n_unanswered,
        "n_unaccounted": counts.n_unaccounted,
        "n_twice": counts.n_twice,
        "n_held_back": counts.n_held_back,
        "by_status": counts.by_status,
    }


def _percentiles(latencies: bytes) -> dict[str, float]:
    values = np.frombuffer(latencies, np.float32) * 1e3
    if not len(values):
        raise SystemExit("no request was answered")
    return {f"p{p:g}": round(float(np.percentile(values, p)), 3) for p in (50, 99, 99.9, 100)}


def _memory(rss: Sequence[float]) -> dict[str, Any]:
    """`drift` is the last quarter's median over the second quarter's, less 1: in the first one caches fill."""
    quarter = max(1, len(rss) // 4)
    drift = np.median(rss[-quarter:]) / np.median(rss[quarter : 2 * quarter]) - 1
    every = max(1, len(rss) // 60)
    return {
        "memory_mib": {"first": rss[0], "last": rss[-1], "most": max(rss)},
        "drift": round(float(drift), 4),
        "rss_mib": list(rss[::every]),
    }
