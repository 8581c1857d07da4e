"""The one path that every request takes, whatever its protocol."""

from __future__ import annotations

from time import monotonic

from offbeat.batching import PendingRequest
from offbeat.errors import DeadlineExceededError
from offbeat.server.dispatcher import Dispatcher
from offbeat.server.query import Query, Scored
from offbeat.server.served import Awaited, ServedModel, ServedModels


class Ticket:
    """A request in a queue: `reply` is the future of its scores."""

    __slots__ = ("_dispatcher", "_model", "_request", "reply")

    def __init__(self, dispatcher: Dispatcher, model: ServedModel, request: PendingRequest[Awaited]) -> None:
        self._dispatcher = dispatcher
        self._model = model
        self._request = request
        self.reply = request.completion.reply

    def cancel(self) -> None:
        """Nobody waits any more: the request leaves the queue, if it is still there."""
        self._dispatcher.cancel(self._model, self._request)


class Engine:
    """Finds the model, checks the request against it, and scores or queues it."""

    def __init__(self, models: ServedModels, dispatcher: Dispatcher) -> None:
        self.models = models
        self._dispatcher = dispatcher

    def submit(self, query: Query, remaining_s: float | None) -> Scored | Ticket:
        """Takes a request that has `remaining_s` seconds left, None for no limit; what is quick is scored at once.

        Raises UnknownModelError, UnavailableError, InvalidWindowError, OverloadedError, DeadlineExceededError, BackendError.
        """
        model = self.models.find(query.model, query.version)
        form = model.forms.find(query.shape, query.outputs)
        windows = form.windows(query.data)
        if remaining_s is not None and remaining_s <= 0:
            raise DeadlineExceededError("the deadline had passed when the request arrived; nothing was run")
        if self._dispatcher.is_quick(model, len(windows)):
            return self._dispatcher.run(model, form, windows)
        deadline = None if remaining_s is None else monotonic() + remaining_s
        return Ticket(self._dispatcher, model, self._dispatcher.submit(model, form, windows, deadline))
