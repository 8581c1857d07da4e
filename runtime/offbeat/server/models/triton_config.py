"""What Triton's configuration of a model says of its versions."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from google.protobuf import json_format, text_format

from offbeat.errors import BundleError, InvalidWindowError, quoted
from offbeat.files import open_regular
from offbeat.inference.open_inference_pb2 import ModelConfig, ModelVersionPolicy
from offbeat.version_policy import VersionPolicy

CONFIG_FILE = "config.pbtxt"
_CLOSING = {"{": "}", "[": "]", "<": ">"}
_MAX_BYTES = 1 << 20
_MAX_JSON = 1 << 16
_MAX_REMEMBERED = 4096


def policy_of_file(folder: Path) -> VersionPolicy | None:
    """The `version_policy` of the model's config.pbtxt, None where it has none, or there is no such file.

    Its other settings are Triton's alone. Raises BundleError for a file that is no ModelConfig.
    """
    path = folder / CONFIG_FILE
    try:
        state = path.stat()
        return _policy_of_state(path, state.st_ino, state.st_size, state.st_ctime_ns)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}; expected a file that can be read") from error


# Repositories are looked at again and again, and the files of hundreds of models would be parsed for nothing.
@lru_cache(maxsize=_MAX_REMEMBERED)
def _policy_of_state(path: Path, *_: int) -> VersionPolicy | None:
    """The policy of a file that is in this state. Raises OSError, BundleError."""
    # An operator's own file, unlike those of a version: where a link leads is for them to say.
    with open_regular(path, follows_links=True) as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise BundleError(f"{path}: more than {_MAX_BYTES:,} bytes; expected Triton's configuration of a model")
    try:
        policy = text_format.Parse(" ".join(_field(content.decode(), "version_policy")), ModelVersionPolicy())
    except (text_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{path}: {error}; expected Triton's configuration of a model") from error
    return _policy(policy, str(path))


def policy_of_json(text: str, name: str) -> VersionPolicy | None:
    """The `version_policy` of the configuration that comes with a request to load the model of that name.

    Raises InvalidWindowError for a text that is no ModelConfig, and for settings that would not be honoured.
    """
    where = f"parameter 'config' of the request to load {quoted(name)}"
    if len(text) > _MAX_JSON:
        raise InvalidWindowError(f"{where} has {len(text)} characters; expected at most {_MAX_JSON}")
    try:
        # A list without entries, and nothing, would be taken for a message without fields.
        if not text.lstrip().startswith("{"):
            raise json_format.ParseError("no object")
        config = json_format.Parse(text, ModelConfig())
    except (json_format.ParseError, RecursionError) as error:
        raise InvalidWindowError(f"{where}: {error}; expected JSON with version_policy, and name if need be") from error
    fields = [field.name for field, _ in config.ListFields() if field.name not in ("name", "version_policy")]
    if fields or config.name not in ("", name):
        raise InvalidWindowError(
            f"{where} sets {', '.join(fields) or f'name {quoted(config.name)}'}; expected version_policy alone: "
            "all else is the server's configuration"
        )
    try:
        return _policy(config.version_policy, where)
    except BundleError as error:
        raise InvalidWindowError(str(error)) from error


def policy_message(policy: VersionPolicy) -> ModelVersionPolicy:
    """The policy as ModelConfig tells it."""
    if policy.n_latest is not None:
        return ModelVersionPolicy(latest=ModelVersionPolicy.Latest(num_versions=policy.n_latest))
    if policy.specific is not None:
        return ModelVersionPolicy(specific=ModelVersionPolicy.Specific(versions=policy.specific))
    return ModelVersionPolicy(all=ModelVersionPolicy.All())


def _field(text: str, name: str) -> list[str]:
    """The tokens between the braces of the message's field of that name. Raises ParseError where braces do not match.

    The parser of whole messages would need every field of Triton's, of which there are more with every release.
    """
    tokens = text_format.Tokenizer(text.splitlines())
    found: list[str] = []
    closing: list[str] = []
    is_inside = False
    while not tokens.AtEnd():
        each = tokens.token
        if not closing and each != ":" and each not in _CLOSING:
            is_inside = each == name
        if each in _CLOSING:
            closing.append(_CLOSING[each])
        elif each in _CLOSING.values() and (not closing or closing.pop() != each):
            raise text_format.ParseError(f"{each!r} closes nothing")
        is_outermost = each in _CLOSING and len(closing) == 1
        if is_inside and closing and not is_outermost:
            found.append(each)
        tokens.NextToken()
    if closing:
        raise text_format.ParseError(f"{closing[-1]!r} is missing")
    return found


def _policy(message: ModelVersionPolicy, where: str) -> VersionPolicy | None:
    match message.WhichOneof("policy_choice"):
        case None:
            return None
        case "all":
            return VersionPolicy()
        case "latest":
            # Triton takes 0 for 1, which is the default of the field.
            return VersionPolicy(n_latest=message.latest.num_versions or 1)
    versions = tuple(sorted(set(message.specific.versions)))
    if not versions or versions[0] < 1:
        raise BundleError(f"{where}: version_policy is specific with versions {list(versions)}; expected some, from 1")
    return VersionPolicy(specific=versions)
