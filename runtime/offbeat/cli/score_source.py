"""Who scores for `offbeat score`: this process, or a server."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING

from offbeat.bulk import LocalSource, ScoreSource
from offbeat.bundle import open_version
from offbeat.cli.score_flags import ScoreFlags
from offbeat.config import BackendConfig
from offbeat.errors import MissingExtraError, OverloadedError
from offbeat.result import FloatArray, ScoreResult
from offbeat.scorer import Scorer
from offbeat.security_config import ClientSecurity

if TYPE_CHECKING:
    from offbeat.client import Client

_FIRST_PAUSE_S = 0.02
# Enough to keep a server busy while answers travel, few enough to leave room in its queue.
_MAX_IN_FLIGHT = 4


class ServerSource:
    """Scores on a server, a few batches at a time, and backs off while its queue is full."""

    def __init__(self, client: Client, name: str, version: int | None, target: str, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self.manifest = client.get_model(name, version)
        self.backend = f"the server at {target}"
        self.max_batch_size = self._limit()

    def score_all(self, batches: Iterable[FloatArray], outputs: Sequence[str]) -> Iterator[ScoreResult]:
        """One result, with those outputs, for each batch. Raises OffbeatError; OverloadedError after `timeout_s` of a full queue."""
        pool = ThreadPoolExecutor(_MAX_IN_FLIGHT)
        waiting: deque[Future[ScoreResult]] = deque()
        try:
            for batch in batches:
                waiting.append(pool.submit(self._score, batch, outputs))
                if len(waiting) == _MAX_IN_FLIGHT:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _score(self, batch: FloatArray, outputs: Sequence[str]) -> ScoreResult:
        model, version = self.manifest.name, self.manifest.version
        give_up, pause_s = monotonic() + self._timeout_s, _FIRST_PAUSE_S
        while True:
            try:
                return self._client.score(batch, model=model, version=version, outputs=outputs)
            except OverloadedError:
                if monotonic() + pause_s > give_up:
                    raise
            sleep(pause_s)
            pause_s *= 2

    def _limit(self) -> int:
        for served in self._client.list_models():
            if (served.name, served.version) == (self.manifest.name, self.manifest.version):
                return served.max_batch_size
        return 1


@contextmanager
def open_source(asked: ScoreFlags, config: BackendConfig, security: ClientSecurity) -> Iterator[ScoreSource]:
    """Loads a folder, or connects to a server. Raises OffbeatError."""
    if asked.server is None:
        with Scorer.open(open_version(asked.model), config) as scorer:
            yield LocalSource(scorer)
        return
    try:
        from offbeat.client import Client
    except ImportError as error:
        raise MissingExtraError(f"--server needs {error.name}; pip install 'offbeat[server]'") from error
    with Client(asked.server, timeout_s=asked.timeout_s, security=security) as client:
        yield ServerSource(client, asked.model, asked.model_version, asked.server, asked.timeout_s)
