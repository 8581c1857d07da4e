"""Requests like those before, from their bytes to the answer's without a Python object for each of their parts."""

from __future__ import annotations

import math
from time import monotonic, time
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from offbeat import native
from offbeat.backends import NativeBackend
from offbeat.errors import OffbeatError
from offbeat.reply_timing import ReplyTiming
from offbeat.server.messages.unary_format import UnaryFormat
from offbeat.server.scoring.dispatcher import Dispatcher
from offbeat.server.scoring.form import RequestForm
from offbeat.server.scoring.query import Query, Scored
from offbeat.server.scoring.served import ServedModel, ServedModels
from offbeat.server.telemetry.observations import SCORE
from offbeat.server.telemetry.recent_windows import RecentWindows
from offbeat.server.telemetry.traffic import MethodTraffic

if TYPE_CHECKING:
    from offbeat.native import KnownRequest

# Forms are chosen by callers, and looked through one by one.
_MAX_FORMS = 64
# Answers counted at once: numpy's calls cost as much for one as for a hundred.
_MAX_COUNTED = 128
# Of so many newest costs, older ones weigh less than 3 %.
_N_COSTS = 16


class _Form(Struct, kw_only=True, eq=False):
    """A form that the codec knows: whose it is, what a request of it is expected to cost, and how many more are answered before
    they are counted. `recent`, where its answers hold scores, is the sample that one of them may be due for.
    """

    model: ServedModel
    version: int | None
    form: RequestForm
    n_rows: int
    recent: RecentWindows | None
    expected_s: float = math.inf
    n_uncounted: int = 0


class KnownRequests:
    """The requests of one method that are scored where they are received, by the native codec.

    It only ever answers what the Python path has answered before in that form, and from the same checks: what is not plainly of a known
    form, what is not finite, what is not quick or not in time, is left to that path, which scores it or says what is wrong with it. A form
    is forgotten whenever what is served changes. Belongs to the event loop; figures are counted in turns, by `settle`.
    """

    def __init__(
        self,
        protocol: UnaryFormat,
        models: ServedModels,
        dispatcher: Dispatcher,
        traffic: MethodTraffic,
        max_answer_bytes: int,
    ) -> None:
        self._protocol = protocol
        self._models = models
        self._dispatcher = dispatcher
        self._traffic = traffic
        self._codec = native.RequestCodec(protocol.codec, max_answer_bytes)
        self._forms: list[_Form] = []
        models.listen(self.forget)
        models.count_by(self.settle)

    def read(self, data: bytes) -> KnownRequest | None:
        """The request, where it is of a form that is known."""
        return self._codec.read(data)

    def answer(
        self, request: KnownRequest, started: float, remaining_s: float | None, *, is_alone: bool
    ) -> tuple[bytes, str] | None:
        """The answer's bytes and its timing, of a request that came at `started`; None where it is not to be scored at once.

        `remaining_s` is what its deadline leaves; `is_alone` says that no other request is under way.
        """
        form = self._forms[request.form]
        if form.n_uncounted >= _MAX_COUNTED or (form.recent is not None and started >= form.recent.next_at):
            self.settle()
            return None
        is_quick = form.expected_s <= self._dispatcher.max_inline_s(is_alone=is_alone) and not form.model.queue
        if not is_quick or (remaining_s is not None and remaining_s <= 0):
            return None
        answer = request.score()
        if answer is not None:
            form.n_uncounted += 1
        return answer

    def query(self, request: KnownRequest) -> Query | None:
        """What the request asks for, for the queue; None where its windows are not finite."""
        windows = request.windows()
        if windows is None:
            return None
        form = self._forms[request.form]
        return Query(
            model=form.model.name,
            version=form.version,
            id=request.id,
            shape=form.form.shape,
            data=windows,
            outputs=form.form.outputs,
            priority=request.priority,
            form=form.form,
        )

    def learn(self, data: bytes, query: Query, scored: Scored) -> None:
        """Learns the form of a request that has been answered, where a native session scores such requests."""
        if query.form is not None:
            return
        try:
            model = self._models.find(query.model, query.version)
        except OffbeatError:
            return
        backend, n_rows = model.scorer.backend, scored.form.shape[0]
        session = backend.session if isinstance(backend, NativeBackend) else None
        if session is None:
            return
        # Another version may have come since.
        if model.forms.find(query.shape, query.outputs) is not scored.form or not set(session.output_names).issuperset(
            scored.form.outputs
        ):
            return
        if len(self._forms) == _MAX_FORMS:
            self.forget()
        timing = ReplyTiming.around_alone(version=model.version, size=n_rows, backend=model.backend)
        before = scored.form.templates[self._protocol.answer_kind]
        if self._codec.learn(data, session, scored.form.outputs, before, timing) is None:
            return
        recent = model.observations.recent if SCORE in scored.form.outputs else None
        expected_s = model.cost.estimate(n_rows) if model.queue.takes_at_once(n_rows) else math.inf
        self._forms.append(
            _Form(
                model=model,
                version=query.version,
                form=scored.form,
                n_rows=n_rows,
                recent=recent,
                expected_s=expected_s,
            )
        )

    def settle(self) -> None:
        """Counts what is still to be counted."""
        for number, form in enumerate(self._forms):
            if form.n_uncounted:
                self._count(number, form)
            if form.model.queue.takes_at_once(form.n_rows):
                form.expected_s = form.model.cost.estimate(form.n_rows)

    def forget(self) -> None:
        """Forgets every form: what they answer with may not be served any more."""
        self.settle()
        self._forms.clear()
        self._codec.forget()

    def _count(self, number: int, form: _Form) -> None:
        compute, total, scores, last_at = self._codec.take(number)
        form.n_uncounted = 0
        model, compute_s = form.model, np.frombuffer(compute, np.float64)
        for seconds in compute_s[-_N_COSTS:].tolist():
            model.cost.record(form.n_rows, seconds, last_at)
        model.statistics.succeed_alone(
            len(compute_s), form.n_rows, float(compute_s.sum()), time() - (monotonic() - last_at)
        )
        model.observations.alone(compute_s, np.frombuffer(scores, np.float32))
        self._traffic.answer_all(model.name, np.frombuffer(total, np.float64))


def known_requests(
    protocol: UnaryFormat, models: ServedModels, dispatcher: Dispatcher, traffic: MethodTraffic, max_answer_bytes: int
) -> KnownRequests | None:
    """The requests of a method that need no Python; None where the native core is missing."""
    if native.why_missing() is not None:
        return None
    return KnownRequests(protocol, models, dispatcher, traffic, max_answer_bytes)
