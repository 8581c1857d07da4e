"""Feeds a server with rows of many series for as long as they come, over restarts of the server.

    offbeat serve models --state-dir state --out-of-order drop --alarm-k 3 --alarm-n 5
    python examples/follow_series.py --model server-metrics

Rows are made up here: replace `rows_of`. What has no answer when the server goes is sent again when it is back, with the last
minute before, since a killed server knows its series as they were last written; rows that it knows are dropped by their timestamps.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Iterator

import numpy as np

from offbeat.client import Client, PointResult, Points
from offbeat.errors import OverloadedError, UnavailableError

# As long as the server's --series-snapshot-s, and some more.
REPEATED_S = 60
PAUSE_S = 1.0


def rows_of(second: int, series: list[str], n_features: int) -> Points:
    """A row of each series: noise, and once in a while a pump that runs wild."""
    rng = np.random.default_rng(second)
    values = rng.standard_normal((len(series), n_features), dtype=np.float32)
    if second % 100 >= 90:
        values[0] += 50
    return Points(series=series, values=values, timestamps=np.full(len(series), second))


def main() -> None:
    """Follows the series until it has sent so many seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default="127.0.0.1:8001")
    parser.add_argument("--model", required=True)
    parser.add_argument("--series", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--speed", type=float, default=1.0, help="seconds of data in a second")
    arguments = parser.parse_args()
    names = [f"pump-{number}" for number in range(arguments.series)]
    with Client(arguments.server) as client:
        while not client.is_ready():
            print(f"{arguments.server} is not ready; trying again", flush=True)
            time.sleep(PAUSE_S)
        n_features = len(client.get_model(arguments.model).feature_names)
        follow(
            client,
            arguments.model,
            (rows_of(second, names, n_features) for second in range(arguments.seconds)),
            arguments.speed,
        )


def follow(client: Client, model: str, rows: Iterator[Points], speed: float) -> None:
    """Sends the rows, one message a second, and tells alarms."""
    recent: deque[Points] = deque(maxlen=REPEATED_S)
    unanswered: deque[Points] = deque()
    is_over = False

    def to_send() -> Iterator[Points]:
        nonlocal is_over
        yield from [*recent, *unanswered]
        for points in rows:
            unanswered.append(points)
            yield points
            time.sleep(1 / speed)
        is_over = True

    while not (is_over and not unanswered):
        try:
            for result in client.score_points(to_send(), model=model):
                if unanswered and result.points is unanswered[0]:
                    recent.append(unanswered.popleft())
                tell(result)
        except (UnavailableError, OverloadedError) as error:
            # Of an overload the rows are remembered, and dropped when they come again.
            print(f"{error}; trying again", flush=True)
            time.sleep(PAUSE_S)


def tell(result: PointResult) -> None:
    """Prints the series with an alarm."""
    if result.alarm is not None and result.alarm.any():
        names = [name for name, alarm in zip(result.series, result.alarm.tolist(), strict=True) if alarm]
        print(f"{result.points.timestamps[0]}: alarm of {', '.join(names)}", flush=True)  # type: ignore[index]


if __name__ == "__main__":
    main()
