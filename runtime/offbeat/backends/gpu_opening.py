"""A model version on a GPU, with CUDA graphs where a rehearsal found that they work."""

from __future__ import annotations

import logging

from offbeat.backends.cuda_backend import CudaBackend, open_lanes
from offbeat.backends.gpu_provider import GpuProvider
from offbeat.backends.graph_rehearsal import why_no_graphs
from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from offbeat.errors import BackendError

_log = logging.getLogger(__name__)


def open_gpu(kind: GpuProvider, version: ModelVersion, config: BackendConfig) -> CudaBackend:
    """The version on the provider, every bucket proven on golden windows.

    Raises ConfigurationError for device cpu, MissingExtraError without provider, libraries or GPU, BackendError where one of them
    fails or the golden outputs are missed.
    """
    kind.check_config(config)
    kind.import_onnxruntime()
    if kind is GpuProvider.CUDA and config.cuda_graphs:
        why = why_no_graphs(version, config)
        if not why:
            try:
                return open_lanes(kind, version, config, has_graphs=True)
            except BackendError as error:
                why = " ".join(str(error).split())
        manifest = version.manifest
        _log.info("%s version %d runs without CUDA graphs: %s", manifest.name, manifest.version, why)
    return open_lanes(kind, version, config, has_graphs=False)
