"""The one path that every request takes, whatever its protocol."""

from __future__ import annotations

from time import monotonic

from offbeat.errors import DeadlineExceededError, OverloadedError
from offbeat.result import FloatArray
from offbeat.server.scoring.dispatcher import Dispatcher
from offbeat.server.scoring.form import RequestForm
from offbeat.server.scoring.query import Query, Scored
from offbeat.server.scoring.served import ServedModel, ServedModels
from offbeat.server.scoring.ticket import QueuedRequest, SplitRequest, Ticket


class Engine:
    """Finds the model, checks the request against it, and scores or queues it."""

    def __init__(self, models: ServedModels, dispatcher: Dispatcher) -> None:
        self.models = models
        self.dispatcher = dispatcher

    def submit(self, query: Query, remaining_s: float | None, *, is_alone: bool) -> Scored | Ticket:
        """Takes a request that has `remaining_s` seconds left, None for no limit; what is quick is scored at once.

        `is_alone` says that no other request is under way.
        Raises UnknownModelError, UnavailableError, InvalidWindowError, OverloadedError, DeadlineExceededError, BackendError.
        """
        model = self.models.find(query.model, query.version)
        form = query.form or model.forms.find(query.shape, query.outputs)
        windows = form.windows(query.data) if query.form is None else form.view(query.data)
        if query.timeout_s is not None:
            remaining_s = query.timeout_s if remaining_s is None else min(remaining_s, query.timeout_s)
        if remaining_s is not None and remaining_s <= 0:
            raise DeadlineExceededError("the deadline had passed when the request arrived; nothing was run")
        if self.dispatcher.is_quick(model, len(windows), is_alone=is_alone):
            return self.dispatcher.run(model, form, windows)
        deadline = None if remaining_s is None else monotonic() + remaining_s
        return self._queue(model, form, windows, deadline, model.batching.level(query.priority))

    def _queue(
        self, model: ServedModel, form: RequestForm, windows: FloatArray, deadline: float | None, level: int
    ) -> Ticket:
        max_rows = model.batching.max_batch_size
        starts = range(0, len(windows), max_rows)
        parts: list[QueuedRequest] = []
        try:
            model.queue.check_room(len(starts))
            for start in starts:
                request = self.dispatcher.submit(model, form, windows[start : start + max_rows], deadline, level)
                parts.append(QueuedRequest(self.dispatcher, model, request))
        except (OverloadedError, DeadlineExceededError):
            model.statistics.fail(1, 0.0)
            # Nobody would wait for those that were taken.
            SplitRequest(parts, form).cancel()
            raise
        return parts[0] if len(parts) == 1 else SplitRequest(parts, form)
