from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offbeat.errors import BundleError, InvalidWindowError
from offbeat.server.models.triton_config import policy_message, policy_of_file, policy_of_json
from offbeat.version_policy import VersionPolicy
from offbeat_export.config_pbtxt import config_pbtxt
from tests.runtime.folders import make_manifest


def write(folder: Path, text: str) -> Path:
    (folder / "config.pbtxt").write_text(text)
    return folder


def test_without_a_file_or_a_policy_in_it_nothing_is_said(tmp_path: Path) -> None:
    assert policy_of_file(tmp_path) is None
    assert policy_of_file(write(tmp_path, config_pbtxt(make_manifest({})))) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version_policy: { latest: { num_versions: 2 } }", "latest:2"),
        ("version_policy { latest {} }", "latest:1"),
        ("version_policy: { all {} }", "all"),
        ("version_policy: { specific: { versions: [ 3, 1 ] } }", "specific:1,3"),
    ],
)
def test_the_policy_is_read_from_among_all_that_is_tritons(tmp_path: Path, text: str, expected: str) -> None:
    folder = write(tmp_path, config_pbtxt(make_manifest({})) + text + "\nresponse_cache { enable: true }\n")
    assert policy_of_file(folder) == VersionPolicy.parse(expected)


def test_a_file_is_parsed_again_when_it_has_changed_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = VersionPolicy.parse("specific:1"), VersionPolicy.parse("specific:2")
    folder = write(tmp_path, "version_policy { specific { versions: 1 } }")
    assert policy_of_file(folder) == first
    with monkeypatch.context() as patch:
        patch.setattr("google.protobuf.text_format.Tokenizer", lambda *_: pytest.fail("parsed again"))
        assert policy_of_file(folder) == first
    # Of the same length, and in place.
    assert policy_of_file(write(tmp_path, "version_policy { specific { versions: 2 } }")) == second
    (tmp_path / "config.pbtxt").unlink()
    assert policy_of_file(folder) is None


@pytest.mark.parametrize(
    "text",
    ["version_policy: {", "{" * 5000, "}", "version_policy: { specific { versions: [ ] } }", "x" * (1 << 20) + "x"],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BundleError, match=r"config\.pbtxt"):
        policy_of_file(write(tmp_path, text))


def test_a_deeply_nested_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"config\.pbtxt"):
        policy_of_file(write(tmp_path, "a {" * 100_000))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.pbtxt")
    with pytest.raises(BundleError, match="not a regular file"):
        policy_of_file(tmp_path)


def test_a_request_may_bring_a_policy() -> None:
    text = '{"name": "level", "version_policy": {"specific": {"versions": [2]}}}'
    assert policy_of_json(text, "level") == VersionPolicy(specific=(2,))
    assert policy_of_json("{}", "level") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"max_batch_size": 8}', "sets max_batch_size; expected version_policy alone"),
        ('{"name": "other"}', "sets name 'other'"),
        ('{"no_such_field": 1}', "no_such_field"),
        ("not json", "expected JSON"),
        ("[]", "expected JSON"),
        ('""', "expected JSON"),
        ("[" * 60_000, "expected JSON"),
        (" " * 70_000, "70000 characters"),
        ('{"version_policy": {"specific": {"versions": [0]}}}', r"versions \[0\]"),
    ],
)
def test_what_a_request_brings_and_would_not_be_honoured_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidWindowError, match=message):
        policy_of_json(text, "level")


@pytest.mark.parametrize("text", ["latest:2", "all", "specific:1,3"])
def test_a_policy_is_told_as_triton_tells_it(tmp_path: Path, text: str) -> None:
    policy = VersionPolicy.parse(text)
    message = str(policy_message(policy))
    assert policy_of_file(write(tmp_path, f"version_policy {{ {message} }}")) == policy


def test_lists_comments_and_texts_of_other_fields_are_passed_over(tmp_path: Path) -> None:
    text = """
    # version_policy { all {} }
    name: "version_policy { all {} }"
    ensemble_scheduling { step [ { model_name: "a" version_policy { all {} } }, { model_name: "b" } ] }
    version_policy < latest < num_versions: 3 > >
    instance_group [ { kind: KIND_CPU } ]
    """
    assert policy_of_file(write(tmp_path, text)) == VersionPolicy(n_latest=3)


WORDS = st.sampled_from(
    ["version_policy", "versionPolicy", "latest", "num_versions", "all", "specific", "versions", "name", "level"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
POLICIES = st.fixed_dictionaries({"version_policy": st.dictionaries(WORDS, VALUES, max_size=2)})


@settings(max_examples=300)
@given(POLICIES.map(json.dumps) | VALUES.map(json.dumps) | st.text(max_size=60))
def test_any_text_is_a_policy_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidWindowError):
        policy = policy_of_json(text, "level")
        assert policy is None or policy.choose([1]) in ((), (1,))


TOKENS = st.sampled_from(
    ["version_policy", "{", "}", "[", "]", "<", ">", ":", "latest", "num_versions", "all", "versions", "1", "-1", '"a"']
)


@settings(max_examples=300)
@given(st.lists(TOKENS, max_size=14).map(" ".join) | st.binary(max_size=60))
def test_any_file_is_a_policy_or_refused(content: str | bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(BundleError):
        (Path(folder) / "config.pbtxt").write_bytes(content if isinstance(content, bytes) else content.encode())
        policy = policy_of_file(Path(folder))
        assert policy is None or policy.choose([1]) in ((), (1,))
