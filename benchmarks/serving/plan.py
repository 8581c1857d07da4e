"""The loads that are tried."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from benchmarks.serving.load import Load
from benchmarks.serving.payloads import METHODS, Protocol, payload


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One way of asking: `share` of the capacity where requests arrive by themselves, None in a closed loop."""

    protocol: Protocol
    n_windows: int
    concurrency: int
    share: float | None = None

    @property
    def is_closed_unary(self) -> bool:
        """Whether it is a closed loop of Score calls, by which the capacity is told."""
        return self.protocol == "score" and self.share is None

    def load(self, model: str, target: str, seconds: float, core: int | None, rate: float = 0.0) -> Load:
        """The case as an order to the load generator."""
        return Load(
            target=target,
            method=METHODS[self.protocol],
            payload=payload(model, self.protocol, self.n_windows),
            seconds=seconds,
            concurrency=self.concurrency,
            rate=rate,
            core=core,
        )


def cases(concurrencies: Iterable[int], n_windows: Iterable[int]) -> Iterator[Case]:
    """Both services at each concurrency and size, and streams at each size with as many requests in flight."""
    protocols: tuple[Protocol, ...] = ("score", "infer", "score-stream")
    for n in n_windows:
        for concurrency in concurrencies:
            for protocol in protocols:
                yield Case(protocol=protocol, n_windows=n, concurrency=concurrency)
