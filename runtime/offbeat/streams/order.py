"""Rows that are not later than those before them."""

from __future__ import annotations

import numpy as np

from offbeat.result import BoolArray
from offbeat.streams.rows import Integers

# Before every timestamp.
NEVER = np.iinfo(np.int64).min


def late_rows(owners: Integers, timestamps: Integers, last: Integers, *, are_different: bool) -> BoolArray:
    """Whether each row is not later than all rows of its owner before it [row], `last` [row] included, those of earlier requests.

    NEVER in `last` says that there were none. `are_different` says that no two rows have one owner.
    """
    is_late: BoolArray = (timestamps <= last) & (last != NEVER)
    if are_different:
        return is_late
    order = np.argsort(owners, kind="stable")
    ordered, times = owners[order], timestamps[order]
    # A running maximum that begins anew with each owner: ranks of times, lifted by the owner's place in the order.
    ranks = np.unique(times, return_inverse=True)[1]
    lifted = np.cumsum(np.concatenate([[0], ordered[1:] != ordered[:-1]])) * len(times) + ranks
    before = np.maximum.accumulate(lifted)
    is_late[order[1:]] |= lifted[1:] <= before[:-1]
    return is_late
