"""How clients ask for models to be loaded and unloaded, and what they are told of all."""

from __future__ import annotations

from collections.abc import Iterable

from offbeat.errors import InvalidWindowError, quoted
from offbeat.inference.open_inference_pb2 import (
    RepositoryIndexResponse,
    RepositoryModelLoadRequest,
    RepositoryModelUnloadRequest,
)
from offbeat.server.models.triton_config import policy_of_json
from offbeat.server.scoring.model_state import VersionStatus
from offbeat.telling import in_lines
from offbeat.version_policy import VersionPolicy


def model_name(request: RepositoryModelLoadRequest | RepositoryModelUnloadRequest) -> str:
    """The model to load or unload: KServe's clients have its name where Triton's have the repository's.

    Raises InvalidWindowError where there are both.
    """
    if request.model_name and request.repository_name:
        raise InvalidWindowError(
            f"repository_name is {quoted(request.repository_name)}; expected none: there is one repository"
        )
    return request.model_name or request.repository_name


def policy_asked_for(request: RepositoryModelLoadRequest) -> VersionPolicy | None:
    """The version policy in the request's parameter `config`, None where it has none.

    Raises InvalidWindowError for what would not be honoured, such as files.
    """
    _check(request, ("config",))
    if "config" not in request.parameters:
        return None
    return policy_of_json(request.parameters["config"].string_param, model_name(request))


def check_unload(request: RepositoryModelUnloadRequest) -> None:
    """Raises InvalidWindowError for what would not be honoured. No model depends on others here."""
    _check(request, ("unload_dependents",))


def index_of(status: VersionStatus) -> RepositoryIndexResponse.ModelIndex:
    """One entry of the index; its version is empty where the model as a whole is meant."""
    version = str(status.version) if status.version else ""
    return RepositoryIndexResponse.ModelIndex(
        name=status.name, version=version, state=status.state, reason=in_lines(status.reason)
    )


def _check(request: RepositoryModelLoadRequest | RepositoryModelUnloadRequest, known: Iterable[str]) -> None:
    if unknown := sorted(set(request.parameters).difference(known)):
        raise InvalidWindowError(f"parameters {', '.join(unknown):.500}; expected none but {', '.join(known)}")
