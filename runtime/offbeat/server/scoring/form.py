"""The form of a request: what is checked once for all requests that look alike."""

from __future__ import annotations

import math

import numpy as np
from google.protobuf.message import Message
from msgspec import Struct, field

from offbeat.errors import InvalidWindowError
from offbeat.result import FloatArray
from offbeat.scorer import Scorer, check_finite

INPUT = "window"
_ITEM = np.dtype("<f4")
_RANKS = (2, 3)
# Forms are chosen by callers, and must not fill the memory.
_MAX_FORMS = 256


class RequestForm(Struct, frozen=True, kw_only=True, eq=False):
    """A shape of windows and the outputs wanted, which the model has been found to take.

    `templates` is for the protocols: what all answers to such requests have in common, by kind of message. It begins with the
    bytes before the first output's data, and goes on with those before each further one's.
    """

    shape: tuple[int, ...]
    n_bytes: int
    outputs: tuple[str, ...]
    templates: dict[type[Message], list[bytes]] = field(default_factory=dict)

    def windows(self, data: bytes | FloatArray) -> FloatArray:
        """The bytes, or the values, seen as a float32 array of this form's shape, without a copy.

        Raises InvalidWindowError where they do not fill it exactly, and for NaN and infinity.
        """
        n_bytes = len(data) if isinstance(data, bytes) else data.nbytes
        if n_bytes != self.n_bytes:
            raise InvalidWindowError(
                f"{INPUT!r} holds {_amount(data)}; expected {_expected(data, self.n_bytes)} for float32 of shape {list(self.shape)}"
            )
        windows = self.view(data)
        check_finite(windows)
        return windows

    def view(self, data: bytes | FloatArray) -> FloatArray:
        """The same of bytes, or values, that have been checked."""
        return np.frombuffer(data, _ITEM).reshape(self.shape)


class RequestForms:
    """The forms that one model has been asked in; the oldest are forgotten."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._forms: dict[tuple[tuple[int, ...], tuple[str, ...]], RequestForm] = {}

    def find(self, shape: tuple[int, ...], outputs: tuple[str, ...]) -> RequestForm:
        """The form of a request. Raises InvalidWindowError where the model does not take it."""
        form = self._forms.get((shape, outputs))
        if form is None:
            form = self._admit(shape, outputs)
            if len(self._forms) >= _MAX_FORMS:
                del self._forms[next(iter(self._forms))]
            self._forms[shape, outputs] = form
        return form

    def _admit(self, shape: tuple[int, ...], outputs: tuple[str, ...]) -> RequestForm:
        # The rank comes first: a shape of a million dimensions is neither multiplied nor told.
        if len(shape) not in _RANKS:
            raise InvalidWindowError(
                f"{INPUT!r} has rank {len(shape)}; expected [batch, time, feature], or [batch, feature] for a tabular model"
            )
        if min(shape) < 1:
            raise InvalidWindowError(f"{INPUT!r} has shape {list(shape)}; expected sizes of at least 1, batch included")
        names = self._scorer.check_outputs(outputs)
        self._scorer.check_shape(shape)
        return RequestForm(shape=shape, n_bytes=math.prod(shape) * _ITEM.itemsize, outputs=names)


def _amount(data: bytes | FloatArray) -> str:
    return f"{len(data)} bytes" if isinstance(data, bytes) else f"{len(data)} values"


def _expected(data: bytes | FloatArray, n_bytes: int) -> int:
    return n_bytes if isinstance(data, bytes) else n_bytes // _ITEM.itemsize
