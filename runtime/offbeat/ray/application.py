"""The Ray Serve application: what `serve deploy` and `serve run` are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from ray import serve
from ray.serve import Application

from offbeat.config import BackendConfig, BatchingConfig, ServerConfig
from offbeat.errors import ConfigurationError
from offbeat.ray.replica import ScoringReplica

# For `grpc_servicer_functions`, in Ray's configuration of its proxies.
SERVICER_FUNCTIONS = (
    "offbeat.v1.scoring_pb2_grpc.add_AnomalyScoringServicer_to_server",
    "offbeat.inference.open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server",
    "grpc_health.v1.health_pb2_grpc.add_HealthServicer_to_server",
)


class ServingArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of `offbeat serve` a replica knows, by the same names. `model_repository` is a path that every node has."""

    model_repository: str
    n_workers: int = 1
    max_message_bytes: int = 64 * 2**20
    version_policy: str = "latest:1"
    backend: BackendConfig = BackendConfig()
    batching: BatchingConfig = BatchingConfig()

    def server_config(self) -> ServerConfig:
        """The settings of a replica. Raises ConfigurationError."""
        return ServerConfig(
            model_repository=Path(self.model_repository),
            n_workers=self.n_workers,
            max_message_bytes=self.max_message_bytes,
            version_policy=self.version_policy,
            backend=self.backend,
            batching=self.batching,
        )


def application(args: dict[str, Any]) -> Application:
    """Replicas that serve a repository, from the `args` of an application in Ray Serve's configuration, or in code.

    How many there are, and what they may use, is Ray's to say: `deployments`, name `Scoring`. Raises ConfigurationError.

        serve.start(grpc_options={"port": 9000, "grpc_servicer_functions": SERVICER_FUNCTIONS})
        serve.run(application({"model_repository": "/models"}), name="offbeat")
    """
    try:
        arguments = msgspec.convert(args, ServingArguments)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"args of the application: {error}") from error
    config = arguments.server_config()
    # More than one batch may wait while one is computed: else there would be nothing to gather.
    deployment = serve.deployment(name="Scoring", max_ongoing_requests=512, max_queued_requests=1024)(ScoringReplica)
    n_cpus = config.n_workers * config.backend.n_threads
    return deployment.options(ray_actor_options={"num_cpus": n_cpus}).bind(config)
