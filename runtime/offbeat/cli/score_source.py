"""Who scores for `offbeat score`: this process, or a server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from offbeat.bundle import Manifest
from offbeat.config import BackendConfig
from offbeat.errors import MissingExtraError
from offbeat.result import FloatArray, ScoreResult
from offbeat.scorer import Scorer, load

if TYPE_CHECKING:
    from offbeat.client import Client


class ScoreSource(Protocol):
    """Scores batches of windows of one model version, in order."""

    manifest: Manifest
    backend: str

    def score_all(self, batches: Iterable[FloatArray]) -> Iterator[ScoreResult]:
        """One result for each batch. Raises OffbeatError."""
        ...


class LocalSource:
    """Scores in this process."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self.manifest = scorer.manifest
        self.backend = scorer.backend.description

    def score_all(self, batches: Iterable[FloatArray]) -> Iterator[ScoreResult]:
        """One result for each batch. Raises OffbeatError."""
        return (self._scorer.score(batch) for batch in batches)


class ServerSource:
    """Scores on a server, several batches under way at once."""

    def __init__(self, client: Client, name: str, version: int | None, target: str) -> None:
        self._client = client
        self.manifest = client.get_model(name, version)
        self.backend = f"the server at {target}"

    def score_all(self, batches: Iterable[FloatArray]) -> Iterator[ScoreResult]:
        """One result for each batch. Raises OffbeatError."""
        return self._client.score_stream(batches, model=self.manifest.name, version=self.manifest.version)


@contextmanager
def open_source(
    model: str, server: str | None, version: int | None, config: BackendConfig, timeout_s: float
) -> Iterator[ScoreSource]:
    """Loads a folder, or connects to a server. Raises OffbeatError."""
    if server is None:
        with load(model, backend=config.backend, device=config.device, n_threads=config.n_threads) as scorer:
            yield LocalSource(scorer)
        return
    try:
        from offbeat.client import Client
    except ImportError as error:
        raise MissingExtraError(f"--server needs {error.name}; pip install 'offbeat[server]'") from error
    with Client(server, timeout_s=timeout_s) as client:
        yield ServerSource(client, model, version, server)
