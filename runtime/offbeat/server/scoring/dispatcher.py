"""Takes batches from the queues to the workers, and scores back to those who wait."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from functools import partial
from time import monotonic, sleep

from offbeat.batching import Batch, PendingRequest
from offbeat.errors import BackendError, DeadlineExceededError
from offbeat.reply_timing import ReplyTiming
from offbeat.result import FloatArray
from offbeat.server.scoring.compute import Computation, Computed, Outputs, run_rows, withdraw
from offbeat.server.scoring.examination import Examination, works
from offbeat.server.scoring.form import RequestForm
from offbeat.server.scoring.query import Scored
from offbeat.server.scoring.served import Awaited, ServedModel
from offbeat.server.scoring.workers import WorkerPool
from offbeat.server.telemetry.incident import incident

_logger = logging.getLogger("offbeat.server")
# How often an engine that failed is asked whether it works again.
_EXAMINE_S = 1.0
# What it costs to hand a batch to a worker and its scores back. A request that takes longer, and is not alone, is worth it:
# the loop reads and answers the others meanwhile.
_HANDOVER_S = 50e-6
# How long the loop stands back for a worker that is to begin the next batch while there are as many replies to write as that:
# it needs the interpreter's lock for it, and would wait for all of them.
_STAND_BACK_S = 20e-6
_MIN_REPLIES = 4


class Dispatcher:
    """Runs the batching policy of every model on one event loop and one pool of workers.

    Idle workers go to the models in turn. Deadlines are seconds of time.monotonic. Batches of one request that are
    expected to take `max_inline_us` at most are run on the loop itself: two changes of thread would cost more than they do.
    """

    def __init__(self, workers: WorkerPool, max_inline_us: int) -> None:
        self._workers = workers
        self._max_inline_alone_s = max_inline_us * 1e-6
        self._max_inline_in_company_s = min(self._max_inline_alone_s, _HANDOVER_S)
        self._n_idle = workers.n_workers
        # The models with waiting requests; whoever gets a worker goes to the end.
        self._waiting: OrderedDict[ServedModel, None] = OrderedDict()
        # When the models whose engines fail are looked at again.
        self._examinations: dict[ServedModel, asyncio.TimerHandle] = {}
        self._wakeup: asyncio.TimerHandle | None = None
        self._wakeup_at = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether no batch is being computed."""
        return self._n_idle == self._workers.n_workers

    def is_quick(self, model: ServedModel, n_rows: int, *, is_alone: bool) -> bool:
        """Whether a request that came now should be run at once, and on the loop; `is_alone` where no other is under way."""
        limit = self.max_inline_s(is_alone=is_alone)
        return not model.queue and model.queue.takes_at_once(n_rows) and model.cost.estimate(n_rows) <= limit

    def max_inline_s(self, *, is_alone: bool) -> float:
        """How long a request may be expected to take that is run on the loop."""
        return self._max_inline_alone_s if is_alone else self._max_inline_in_company_s

    def run(self, model: ServedModel, form: RequestForm, windows: FloatArray) -> Scored:
        """Runs checked windows at once. Raises BackendError."""
        started = monotonic()
        try:
            outputs = run_rows(model.scorer, windows, form.outputs)
        except BaseException as error:  # noqa: BLE001 - a SystemExit of an engine must not end the server either
            model.statistics.fail(1, monotonic() - started)
            told = incident(str(model), error)
            if not works(model):
                self._withdraw(model, told)
            raise told from None
        ended = monotonic()
        model.cost.record(len(windows), ended - started, ended)
        model.statistics.succeed(1, len(windows), 0.0, ended - started)
        model.observations.batch(ended - started)
        model.observations.request(0.0, windows, outputs, ended)
        compute_us = _microseconds(ended - started)
        return _scored(model, form, outputs, _timing(model, 0, compute_us, compute_us, len(windows)))

    def submit(
        self, model: ServedModel, form: RequestForm, windows: FloatArray, deadline: float | None, level: int
    ) -> PendingRequest[Awaited]:
        """Queues checked windows; what is returned has the future of their scores in its `completion`.

        The future raises DeadlineExceededError or BackendError. Raises OverloadedError, DeadlineExceededError, and InvalidWindowError
        for too many rows.
        """
        awaited = Awaited(reply=asyncio.get_running_loop().create_future(), form=form)
        request = PendingRequest(
            windows=windows,
            outputs=form.outputs,
            arrival=monotonic(),
            deadline=deadline,
            level=level,
            completion=awaited,
        )
        model.queue.submit(request)
        self._waiting[model] = None
        if self._n_idle:
            self._dispatch()
        elif deadline is not None:
            self._arm(request.arrival)
        return request

    def cancel(self, model: ServedModel, request: PendingRequest[Awaited]) -> None:
        """Takes a request out of the queue if it is still there; a batch that runs is not stopped."""
        request.completion.reply.cancel()
        if model.queue.cancel(request):
            model.statistics.fail(1, monotonic() - request.arrival)
            if not model.queue:
                self._waiting.pop(model, None)

    def close(self) -> None:
        """Stops the timers."""
        if self._wakeup is not None:
            self._wakeup.cancel()
        for timer in self._examinations.values():
            timer.cancel()

    def _dispatch(self) -> None:
        now = monotonic()
        for model in list(self._waiting):
            self._refuse_expired(model, now)
        while self._n_idle and self._start_next(now):
            pass
        # Those whom a batch could not serve in time any more.
        for model in list(self._waiting):
            self._refuse_expired(model, now)
        self._arm(now)

    def _refuse_expired(self, model: ServedModel, now: float) -> None:
        for request in model.queue.purge(now):
            model.statistics.fail(1, now - request.arrival)
            if not request.completion.reply.done():
                request.completion.reply.set_exception(_too_late(request, now))
        if not model.queue:
            del self._waiting[model]

    def _start_next(self, now: float) -> bool:
        """Gives an idle worker the next batch; False where no model has one."""
        for model in self._waiting:
            batch = model.queue.next_batch(now)
            if batch is None:
                continue
            self._n_idle -= 1
            model.n_running += 1
            self._workers.submit(Computation(model, batch), partial(self._finish, model, batch, now))
            self._waiting.move_to_end(model)
            self._refuse_expired(model, now)
            return True
        return False

    def _finish(self, model: ServedModel, batch: Batch[Awaited], formed: float, computed: Computed) -> None:
        compute_s = computed.ended - computed.started
        waits_s = sum(computed.started - request.arrival for request in batch.requests)
        if isinstance(computed.outcome, BackendError):
            model.statistics.fail(len(batch.requests), waits_s + compute_s)
            if computed.is_broken:
                self._withdraw(model, computed.outcome)
        else:
            model.cost.record(batch.n_rows, compute_s, computed.ended)
            model.statistics.succeed(len(batch.requests), batch.n_rows, waits_s, compute_s)
            model.observations.batch(compute_s)
        # First the worker, then the replies: it computes while they are written.
        self._n_idle += 1
        model.n_running -= 1
        n_idle = self._n_idle
        self._dispatch()
        if self._n_idle < n_idle and len(batch.requests) >= _MIN_REPLIES:
            sleep(_STAND_BACK_S)
        if isinstance(computed.outcome, BackendError):
            for request in batch.requests:
                if not request.completion.reply.done():
                    request.completion.reply.set_exception(BackendError(str(computed.outcome)))
            return
        batch_us, compute_us = _microseconds(monotonic() - formed), _microseconds(compute_s)
        for request, outputs in zip(batch.requests, computed.outcome, strict=True):
            model.observations.request(computed.started - request.arrival, request.windows, outputs, computed.ended)
            awaited = request.completion
            if not awaited.reply.done():
                queue_us = _microseconds(computed.started - request.arrival)
                timing = _timing(model, queue_us, batch_us, compute_us, batch.n_rows)
                awaited.reply.set_result(_scored(model, awaited.form, outputs, timing))

    def _withdraw(self, model: ServedModel, error: BackendError) -> None:
        """Takes a model out of service whose engine fails, until it works again."""
        withdraw(model, f"its engine fails: {error}")
        if model.is_suspended:
            _logger.error("%s takes no requests until its engine works again", model)
            if model not in self._examinations:
                self._examine_later(model)

    def _examine_later(self, model: ServedModel) -> None:
        loop = asyncio.get_running_loop()
        self._examinations[model] = loop.call_later(_EXAMINE_S, self._examine, model)

    def _examine(self, model: ServedModel) -> None:
        if not model.is_suspended:
            del self._examinations[model]
        elif model.n_hung or not self._n_idle:
            self._examine_later(model)
        else:
            self._n_idle -= 1
            model.n_running += 1
            self._workers.submit(Examination(model), partial(self._end_examination, model))

    def _end_examination(self, model: ServedModel, works_again: bool) -> None:
        self._n_idle += 1
        model.n_running -= 1
        if works_again and model.resume():
            _logger.warning("%s takes requests again: its engine works", model)
        self._examine_later(model)
        self._dispatch()

    def _arm(self, now: float) -> None:
        """Sets the one timer to the earliest moment at which a queue has something to do by itself."""
        wakeups = [model.queue.next_wakeup(worker_is_idle=self._n_idle > 0) for model in self._waiting]
        earliest = min((wakeup for wakeup in wakeups if wakeup is not None), default=None)
        if earliest is None or (self._wakeup is not None and self._wakeup_at <= earliest):
            return
        if self._wakeup is not None:
            self._wakeup.cancel()
        self._wakeup_at = earliest
        self._wakeup = asyncio.get_running_loop().call_later(max(0.0, earliest - now), self._wake)

    def _wake(self) -> None:
        self._wakeup = None
        self._dispatch()


def _too_late(request: PendingRequest[Awaited], now: float) -> DeadlineExceededError:
    waited_ms = (now - request.arrival) * 1e3
    left_ms = 0.0 if request.deadline is None else (request.deadline - now) * 1e3
    if left_ms <= 0:
        return DeadlineExceededError(f"the deadline passed after {waited_ms:.1f} ms in the queue; nothing was run")
    return DeadlineExceededError(
        f"{left_ms:.1f} ms were left after {waited_ms:.1f} ms in the queue, less than a batch takes; nothing was run"
    )


def _scored(model: ServedModel, form: RequestForm, outputs: Outputs, timing: ReplyTiming) -> Scored:
    return Scored(model=model.name, form=form, outputs=outputs, timing=timing)


def _timing(model: ServedModel, queue_us: int, batch_us: int, compute_us: int, size: int) -> ReplyTiming:
    return ReplyTiming(
        version=model.version,
        queue_us=queue_us,
        batch_us=batch_us,
        compute_us=compute_us,
        size=size,
        backend=model.backend,
    )


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)
