"""What refusing a call costs the server's processor, and what is left of its capacity at three times as many calls.

    python -m benchmarks.serving.refusals --json result.json

First bare grpcio servers that refuse every call, each in its own way, beside one that answers: the floor. Then `offbeat serve`: its
capacity, from 64 calls at a time, and 300 % of that as Poisson arrivals with a deadline. Costs are processor time of the server by
call, at saturation; servers take turns, and medians over rounds are told. The server has core 1 and the flood core 0.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from benchmarks.environment import environment
from benchmarks.models import export_model, random_windows
from benchmarks.progress import tell
from benchmarks.serving.flood import Flood, Flooded
from benchmarks.serving.refusing import WAYS
from benchmarks.serving.servers import offbeat_server, started
from offbeat.v1.scoring_pb2 import DATA_TYPE_FLOAT32, ScoreRequest, Tensor

_SERVER_CORE, _FLOOD_CORE = 1, 0
_METHOD = "/offbeat.v1.AnomalyScoring/Score"
_FLOOR_BYTES = 15_000
_OVERLOAD = 3.0
_NEVER_S = 60.0
_WARM_UP_S = 1.0
# Model and windows of a request.
LOADS = (("M1", 1), ("M1", 32), ("M2", 32), ("M2", 128))


def main() -> None:
    """Prints a line for each figure."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving.refusals",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--deadline-ms", type=float, default=500.0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every round, versions and the machine")
    arguments = parser.parse_args()
    floors: list[dict[str, float]] = []
    served: list[dict[str, dict[str, float]]] = []
    with tempfile.TemporaryDirectory() as folder:
        for model in {model for model, _ in LOADS}:
            export_model(model, Path(folder) / model)
        for number in range(arguments.rounds):
            tell(f"round {number + 1} of {arguments.rounds}")
            floors.append({way: _floor(way, arguments.seconds) for way in WAYS})
            served.append({f"{model} x {n}": _served(Path(folder), model, n, arguments) for model, n in LOADS})
    summary = {
        "floor_us": _medians(floors),
        "served": {load: _medians([each[load] for each in served]) for load in served[0]},
    }
    print(msgspec.json.format(msgspec.json.encode(summary), indent=1).decode())
    if arguments.json is not None:
        content = {
            "environment": environment(),
            "arguments": {name: value for name, value in vars(arguments).items() if name != "json"},
            **summary,
            "rounds": [{"floor_us": floor, "served": loads} for floor, loads in zip(floors, served, strict=True)],
        }
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")


def _floor(way: str, seconds: float) -> float:
    """Microseconds of processor time for each call."""
    with started(["benchmarks.serving.refusing", way], _SERVER_CORE) as (target, server):
        flood = Flood(target=target, method=_METHOD, message=bytes(_FLOOR_BYTES), seconds=seconds, deadline_s=_NEVER_S)
        done, cpu_s = _measured(flood, server)
        return round(1e6 * cpu_s / (done.n_answered + done.n_refused), 1)


def _served(folder: Path, model: str, n_windows: int, arguments: argparse.Namespace) -> dict[str, float]:
    windows = random_windows(model, n_windows, 0)
    tensor = Tensor(name="window", data_type=DATA_TYPE_FLOAT32, shape=windows.shape, data=windows.tobytes())
    message = ScoreRequest(model=model, id="refusals", window=tensor).SerializeToString()
    with started(offbeat_server(folder / model, []), _SERVER_CORE) as (target, server):
        flood = Flood(target=target, method=_METHOD, message=message, seconds=arguments.seconds, deadline_s=_NEVER_S)
        done, cpu_s = _measured(flood, server)
        request_us = 1e6 * cpu_s / done.n_answered
        # Of a whole core: somebody else may have had a part of it.
        capacity = done.n_answered / cpu_s
        overload = msgspec.structs.replace(
            flood, rate=_OVERLOAD * capacity, deadline_s=arguments.deadline_ms / 1e3, seconds=2 * arguments.seconds
        )
        over, over_s = _measured(overload, server)
    refusal_us = (1e6 * over_s - request_us * over.n_answered) / max(1, over.n_refused + over.n_late)
    return {
        "capacity_per_core_s": round(capacity, 1),
        "request_us": round(request_us, 1),
        "refusal_us": round(refusal_us, 1),
        "asked_per_s": round(over.n_sent / over.seconds, 1),
        "goodput": round(over.n_answered / over_s / capacity, 4),
        "refused": over.n_refused,
        "late": over.n_late,
        "p99_ms": over.p99_ms,
    }


def _measured(flood: Flood, server: int) -> tuple[Flooded, float]:
    """What became of the calls, and the server's processor time for them in seconds."""
    _flooded(msgspec.structs.replace(flood, seconds=_WARM_UP_S, rate=0.0, deadline_s=_NEVER_S))
    before = _cpu_s(server)
    done = _flooded(flood)
    return done, _cpu_s(server) - before


def _flooded(flood: Flood) -> Flooded:
    command = [sys.executable, "-m", "benchmarks.serving.flood"]
    pinned = msgspec.structs.replace(flood, core=_FLOOD_CORE if len(os.sched_getaffinity(0)) > 1 else None)
    done = subprocess.run(command, input=msgspec.json.encode(pinned), stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout, type=Flooded)


def _cpu_s(process: int) -> float:
    """Processor time of all threads, to the nanosecond."""
    threads = Path(f"/proc/{process}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def _medians(rounds: Sequence[dict[str, float]]) -> dict[str, Any]:
    return {name: median(each[name] for each in rounds) for name in rounds[0]}


if __name__ == "__main__":
    main()
