"""The batch sizes that a GPU is given: few enough that each can be prepared before the first request."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from offbeat.result import FloatArray


def bucket_sizes(max_rows: int) -> tuple[int, ...]:
    """1, 2, 4 … and `max_rows`, ascending. A batch is padded to less than twice its rows."""
    powers = [1 << exponent for exponent in range(max_rows.bit_length())]
    return tuple(sorted({*powers, max_rows}))


def bucket_for(n_rows: int, sizes: Sequence[int]) -> int:
    """The smallest bucket that holds `n_rows`, at most the largest of them."""
    return sizes[bisect_left(sizes, n_rows)]


def cut(n_rows: int, max_rows: int) -> list[slice]:
    """The parts in which a batch above the largest bucket is computed, in order."""
    return [slice(start, min(start + max_rows, n_rows)) for start in range(0, n_rows, max_rows)]


def fill(buffer: FloatArray, rows: FloatArray) -> None:
    """Writes `rows` to the front of a bucket's buffer and repeats the last of them in the rest.

    A window that was checked for NaN and infinity computes to no more of them when it is computed twice; zeros might lie
    far from anything that the model has seen.
    """
    buffer[: len(rows)] = rows
    buffer[len(rows) :] = rows[-1]
