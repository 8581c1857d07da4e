"""How one protocol asks for scores by a call of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from google.protobuf.message import Message
from msgspec import Struct

from offbeat.server.scoring.query import Query, Scored


class UnaryFormat(Struct, frozen=True, kw_only=True, eq=False):
    """Of the calls of a `method`. Requests are messages of `kind`, answers of `answer_kind`, encoded from the scores and the
    request's id. `codec` is what the native codec calls the protocol.
    """

    method: str
    kind: type[Any]
    answer_kind: type[Message]
    query_of: Callable[[Any], Query]
    encoded: Callable[[Scored, str], bytes]
    codec: Literal["score", "infer"]
