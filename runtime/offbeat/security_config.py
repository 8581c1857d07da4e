"""Configuration: who may reach the server."""

from __future__ import annotations

from ipaddress import ip_address

import msgspec


class SecurityConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands between the server and whoever reaches its port.

    Only with `insecure` does it listen beyond this machine.
    """

    insecure: bool = False


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches the host. A name is not looked up: what it means may change."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
