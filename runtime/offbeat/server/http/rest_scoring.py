"""Scoring for HTTP, on the server's event loop: the path that gRPC's requests take, too."""

from __future__ import annotations

import asyncio
from time import monotonic

from offbeat.inference import open_inference_pb2 as pb
from offbeat.server.messages.inference_messages import query_of
from offbeat.server.rpc.boundary import Boundary
from offbeat.server.scoring.query import Scored
from offbeat.server.scoring.ticket import scores_of

METHOD = "RestInfer"


class RestScoring:
    """Scores requests, and counts what becomes of them. Belongs to the server's event loop."""

    def __init__(self, boundary: Boundary) -> None:
        self._boundary = boundary
        self._traffic = boundary.traffic.method(METHOD)

    async def score(self, request: pb.ModelInferRequest) -> Scored:
        """The scores. Raises UnavailableError while draining, and what the engine raises.

        Cancelled, it takes the request out of the queue.
        """
        started = monotonic()
        try:
            self._boundary.drain.enter()
            try:
                scored = await self._scored(request)
            finally:
                self._boundary.drain.leave()
        except (Exception, asyncio.CancelledError) as error:
            self.refuse(request.model_name, error)
            raise
        self._traffic.answer(scored.model, monotonic() - started)
        return scored

    async def _scored(self, request: pb.ModelInferRequest) -> Scored:
        taken = self._boundary.engine.submit(query_of(request), None, is_alone=self._boundary.drain.n_calls == 1)
        return taken if isinstance(taken, Scored) else await scores_of(taken)

    def refuse(self, model: str, error: BaseException) -> None:
        """Counts a request that is not answered."""
        self._boundary.count_refusal(self._traffic, model, error)
