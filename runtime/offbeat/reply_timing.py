"""What each reply tells of itself, in one entry of its trailing metadata."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from msgspec import Struct

TIMING_KEY = "offbeat-timing"
# The last one may hold anything, a semicolon too.
_FIELDS = ("version", "queue", "batch", "compute", "size", "backend")


class ReplyTiming(Struct, frozen=True, kw_only=True):
    """How a request was scored: by which `version` of the model on which `backend`, and how long that took, in µs.

    `queue_us` is the wait until its batch was computed, `batch_us` the time of the batch from its forming until its scores were
    back, `compute_us` what the backend took of that. `size` is the batch's windows.
    """

    version: int
    queue_us: int
    batch_us: int
    compute_us: int
    size: int
    backend: str

    def text(self) -> str:
        """As it travels: `version=1;queue=0;batch=7;compute=7;size=1;backend=native (avx512)`."""
        return (
            f"version={self.version};queue={self.queue_us};batch={self.batch_us};compute={self.compute_us};"
            f"size={self.size};backend={self.backend}"
        )

    @classmethod
    def around_alone(cls, *, version: int, size: int, backend: str) -> tuple[str, str, str]:
        """The text of a request that is scored at once, around its batch's and its computing's µs, which are the same."""
        text = cls(version=version, queue_us=0, batch_us=0, compute_us=0, size=size, backend=backend).text()
        batch, compute = "batch=", "compute="
        begin, _, rest = text.partition(f"{batch}0;{compute}0")
        return begin + batch, ";" + compute, rest

    @classmethod
    def parse(cls, text: str) -> Self:
        """The timing in a text. Raises ValueError for what is none."""
        parts = [part.partition("=") for part in text.split(";", len(_FIELDS) - 1)]
        if tuple(name for name, _, _ in parts) != _FIELDS:
            raise ValueError(f"timing {text!r}; expected {'=…;'.join(_FIELDS)}=…")
        *numbers, backend = (value for _, _, value in parts)
        version, queue_us, batch_us, compute_us, size = map(int, numbers)
        return cls(
            version=version, queue_us=queue_us, batch_us=batch_us, compute_us=compute_us, size=size, backend=backend
        )

    @classmethod
    def of_metadata(cls, metadata: Iterable[tuple[str, str | bytes]] | None) -> Self | None:
        """The timing in a reply's trailing metadata; None where there is none that can be read, as behind some proxies."""
        text = dict(metadata or ()).get(TIMING_KEY)
        try:
            return cls.parse(text) if isinstance(text, str) else None
        except ValueError:
            return None
