"""The native core: version and CPU features. Its kernels come with the native backend."""

from __future__ import annotations

from offbeat.native._offbeat_ext import cpu_features, version

__all__ = ["cpu_features", "version"]
