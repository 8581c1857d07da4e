from __future__ import annotations

import pytest

from offbeat.errors import ConfigurationError
from offbeat.version_policy import VersionPolicy


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("latest", (7,)),
        ("latest:1", (7,)),
        ("latest:2", (3, 7)),
        ("latest:9", (1, 3, 7)),
        ("all", (1, 3, 7)),
        ("specific:1,7", (1, 7)),
        ("specific:2", ()),
    ],
)
def test_a_policy_chooses_versions_ascending(text: str, chosen: tuple[int, ...]) -> None:
    assert VersionPolicy.parse(text).choose([7, 1, 3]) == chosen


@pytest.mark.parametrize("text", ["latest:1", "latest:12", "all", "specific:1,3"])
def test_a_policy_is_told_in_the_words_in_which_it_was_given(text: str) -> None:
    assert str(VersionPolicy.parse(text)) == text


@pytest.mark.parametrize("text", ["", "newest", "latest:0", "latest:-1", "latest:", "all:2", "specific:", "specific:0"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"version_policy is .*; expected 'latest', 'latest:N', 'all'"):
        VersionPolicy.parse(text)
