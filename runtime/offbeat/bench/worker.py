"""The process in which a contender is timed: an order on standard input, what was found on standard output."""

from __future__ import annotations

import ctypes
import signal
import sys

import msgspec

from offbeat.bench.contender import Order, carry_out

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Answers one order."""
    if sys.platform == "linux":
        # Whoever gave the order may be killed, and then nobody waits for what would be computed here for minutes.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    sys.stdout.buffer.write(msgspec.json.encode(carry_out(order)))


if __name__ == "__main__":
    main()
