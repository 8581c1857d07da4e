"""How one protocol puts requests and answers on a stream."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from offbeat.server.messages.unary_format import UnaryFormat
from offbeat.wire import field_prefix


class StreamFormat(Struct, frozen=True, kw_only=True, eq=False):
    """Of the streams of a `method`. Requests are those of the calls of `one`. Its answer travels in the field `answer_field` of the
    stream's message, the bytes `behind` as its last fields; a refusal is encoded from the id, the number of its google.rpc.Code and
    its message. Answers come in the order of the requests where it `keeps_order`.
    """

    method: str
    one: UnaryFormat
    answer_field: int
    behind: bytes = b""
    encoded_refusal: Callable[[str, int, str], bytes]
    keeps_order: bool

    def around(self, answer: bytes) -> bytes:
        """The stream's message that holds the answer."""
        whole = answer + self.behind
        return field_prefix(self.answer_field, len(whole)) + whole

    def n_bytes_around(self, n_bytes: int) -> int:
        """How many bytes that message has beside an answer of so many."""
        return len(field_prefix(self.answer_field, n_bytes + len(self.behind))) + len(self.behind)
