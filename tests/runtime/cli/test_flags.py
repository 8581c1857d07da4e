"""What holds for the flags of all commands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import pytest
import typer

from offbeat.cli.app import _build
from offbeat.cli.serve_flags import FLAGS, KINDS
from offbeat.data import ColumnSelection
from offbeat.errors import ConfigurationError
from offbeat.flag_fields import flag, made, with_fields
from offbeat.series_config import SeriesConfig

# They say what one call is to show or to write; nobody sets them for all.
OF_ONE_CALL = {"as_json", "json", "check", "save", "markdown_file", "help", "install_completion", "show_completion"}
# What follows from other flags, or is one struct of them.
DERIVED = {"model_repository", "n_streams", "max_bucket_size", "batching", "connections", "security", "series"}


def commands(group: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    for each, command in getattr(group, "commands", {}).items():
        yield from commands(command, f"{name} {each}".strip())
    if not hasattr(group, "commands"):
        yield name, group


COMMANDS = dict(commands(typer.main.get_command(_build())))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_is_an_environment_variable_with_words_of_its_own(command: str) -> None:
    for flag_ in COMMANDS[command].params:
        if flag_.opts[0].startswith("-") and flag_.name not in OF_ONE_CALL:
            assert str(flag_.envvar).startswith("OFFBEAT_"), flag_.name
            assert flag_.help, flag_.name


def test_every_field_of_the_servers_configuration_is_a_flag_with_its_default() -> None:
    fields = {field.name: field for kind in KINDS for field in msgspec.structs.fields(kind)}
    assert set(FLAGS) == set(fields) - DERIVED
    flags = {each.name: each for each in COMMANDS["serve"].params}
    for name in FLAGS:
        default = fields[name].default
        assert flags[name].default == (list(default) if isinstance(default, tuple) else default), name
        assert flags[name].envvar == f"OFFBEAT_{name.upper()}"


def test_a_struct_is_made_of_the_flags_that_are_its_fields() -> None:
    seen: list[SeriesConfig] = []

    @with_fields((SeriesConfig,), {"alarm_k": flag("At least."), "alarm_n": flag("Of.", "--of")})
    def watch(loud: bool = False, **given: Any) -> None:
        seen.append(made(SeriesConfig, given | {"loud": loud}, max_series=7))

    app = typer.Typer()
    app.command()(watch)
    app(["--alarm-k", "2", "--of", "3"], standalone_mode=False)
    assert seen == [SeriesConfig(alarm_k=2, alarm_n=3, max_series=7)]
    with pytest.raises(ConfigurationError, match="alarm_k is 4"):
        app(["--alarm-k", "4", "--of", "3"], standalone_mode=False)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (flag("Of the features."), ["--features", "cpu", "--features", "a, b"]),
        (Annotated[str, typer.Option(help="Of the features.")], ["--features", " cpu,,b ,"]),
    ],
)
def test_a_field_of_several_words_is_a_flag_repeated_or_one_with_commas(option: Any, words: list[str]) -> None:
    seen: list[ColumnSelection] = []

    @with_fields((ColumnSelection,), {"features": option})
    def read(**given: Any) -> None:
        seen.append(made(ColumnSelection, given))

    app = typer.Typer()
    app.command()(read)
    app(words, standalone_mode=False)
    app([], standalone_mode=False)
    assert seen == [
        ColumnSelection(features=("cpu", "a, b") if len(words) == 4 else ("cpu", "b")),
        ColumnSelection(),
    ]
