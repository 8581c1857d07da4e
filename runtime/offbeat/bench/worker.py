"""The process in which a contender is timed: an order on standard input, what was found on standard output."""

from __future__ import annotations

import sys

import msgspec

from offbeat.bench.contender import Order, carry_out


def main() -> None:
    """Answers one order."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    sys.stdout.buffer.write(msgspec.json.encode(carry_out(order)))


if __name__ == "__main__":
    main()
