"""Everything that a start would refuse, found without serving."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from offbeat.bundle import ModelRepository
from offbeat.config import ServerConfig
from offbeat.errors import OffbeatError
from offbeat.server.access.server_credentials import read_server_certificates
from offbeat.server.access.tokens import read_tokens
from offbeat.server.models.loading import open_model
from offbeat.server.models.repository_scan import ModelFolder, models_at_start, scan_repository
from offbeat.server.series.state_directory import check_state_dir
from offbeat.server.server import open_tracing
from offbeat.version_policy import VersionPolicy


class Finding(Struct, frozen=True, kw_only=True):
    """What was looked at, and what is wrong with it; None where nothing is. `is_skipped`: a start would leave it out."""

    subject: str
    problem: str | None = None
    is_skipped: bool = False


def preflight(config: ServerConfig) -> Iterator[Finding]:
    """Reads certificates and tokens, and loads every model's versions as a start would, golden windows and warm-up included.

    Listens nowhere, and keeps nothing loaded; raises no OffbeatError. Whether the address is free is not looked at: a
    server that runs may have it.
    """
    security = config.security
    if security.has_tls:
        files = (security.tls_cert, security.tls_key, security.tls_client_ca)
        names = ", ".join(str(path) for path in files if path is not None)
        yield _finding(f"certificates {names}", lambda: read_server_certificates(security))
    token_file = security.token_file
    if token_file is not None:
        yield _finding(f"tokens {token_file}", lambda: read_tokens(token_file))
    state_dir = config.series.state_dir
    if state_dir is not None:
        yield _finding(f"state_dir {state_dir}", lambda: check_state_dir(state_dir))
    endpoint = config.trace_endpoint
    if endpoint is not None:
        yield _finding(f"traces to {endpoint}", lambda: open_tracing(endpoint, config.trace_ratio).close(0.0))
    yield from _check_models(config)


def _check_models(config: ServerConfig) -> Iterator[Finding]:
    subject = f"repository {config.model_repository}"
    try:
        repository = ModelRepository(config.model_repository)
        found = scan_repository(repository, VersionPolicy.parse(config.version_policy))
        skipped = repository.skipped()
    except OffbeatError as error:
        yield Finding(subject=subject, problem=str(error))
        return
    try:
        chosen = models_at_start(config, found)
    except OffbeatError as error:
        yield Finding(subject=subject, problem=str(error))
        chosen = {name: found[name] for name in config.load_model if name in found}
    else:
        yield Finding(subject=f"{subject}, {len(found)} models")
    for reason in skipped.values():
        yield Finding(subject=reason, is_skipped=True)
    for name, folder in chosen.items():
        yield from _check_versions(config, repository, name, folder)


def _check_versions(
    config: ServerConfig, repository: ModelRepository, name: str, folder: ModelFolder | OffbeatError
) -> Iterator[Finding]:
    if isinstance(folder, OffbeatError):
        yield Finding(subject=f"model {name}", problem=str(folder))
    elif not folder.wanted:
        there = ", ".join(map(str, folder.versions))
        yield Finding(
            subject=f"model {name}", problem=f"version_policy {folder.policy} chooses none of the versions {there}"
        )
    else:
        for version in folder.wanted:
            yield _check_version(config, repository, name, version)


def _check_version(config: ServerConfig, repository: ModelRepository, name: str, version: int) -> Finding:
    subject = f"model {name} version {version}"
    try:
        model = open_model(repository, name, version, config)
    except OffbeatError as error:
        return Finding(subject=subject, problem=str(error))
    model.scorer.close()
    return Finding(subject=f"{subject}, golden windows replayed on {model.backend}")


def _finding(subject: str, look: Callable[[], object]) -> Finding:
    try:
        look()
    except OffbeatError as error:
        return Finding(subject=subject, problem=str(error))
    return Finding(subject=subject)
