"""The native core: sessions on `model.safetensors`, a codec for requests of known forms, and what this processor can do. It may be missing.

pip builds it with a C++ compiler and installs offbeat without it where there is none: `why_missing` says so, and the
other names then raise ImportError when they are asked for.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # Of the package, not from the extension: that is no Python file, and import-linter would take it for `offbeat` itself.
    from offbeat.native import _offbeat_ext

    KnownRequest = _offbeat_ext.KnownRequest
    RequestCodec = _offbeat_ext.RequestCodec
    Session = _offbeat_ext.Session
    cpu_features, version = _offbeat_ext.cpu_features, _offbeat_ext.version

__all__ = ["KnownRequest", "RequestCodec", "Session", "cpu_features", "version", "why_missing"]


def why_missing() -> str | None:
    """None where the core is there; else why not, and what to do about it."""
    if find_spec("offbeat.native._offbeat_ext") is None:
        return "offbeat was installed without its native core; install a C++20 compiler, then offbeat again"
    try:
        import_module("offbeat.native._offbeat_ext")
    except ImportError as error:
        return f"the native core cannot be loaded: {error}"
    return None


def __getattr__(name: str) -> Any:
    """Names of the core, imported when they are first asked for: without it the package still works."""
    if name not in __all__:
        raise AttributeError(f"module 'offbeat.native' has no attribute {name!r}")
    if reason := why_missing():
        raise ImportError(reason)
    return getattr(import_module("offbeat.native._offbeat_ext"), name)
