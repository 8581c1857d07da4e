from __future__ import annotations

import copy
import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offbeat.native import Session
from offbeat_export.safetensors_export import export_safetensors
from offbeat_export.variant_weights import quantise_weights, with_weights
from tests.export.checkpoints import preset_checkpoint
from tests.export.scorers import scorer_of
from tests.native.designs import DESIGNS, Design, design

SMALL = "flexible, bidirectional"
_HOSTILE: tuple[Any, ...] = (
    None, True, -1, 0, 1, 3, 0.5, 2**24, 2**24 + 1, 2**32, 2**64, 1e300, "", "x", "window", "lstm", "relu", "\x1b[31m", [], [1], {}, {"kind": "relu"},
)  # fmt: skip


def with_plan(content: bytes, plan: Any) -> bytes:
    """The file with another plan."""
    (n_header,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + n_header])
    header["__metadata__"]["plan"] = json.dumps(plan)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + content[8 + n_header :]


def plan_of(content: bytes) -> Any:
    (n_header,) = struct.unpack("<Q", content[:8])
    return json.loads(json.loads(content[8 : 8 + n_header])["__metadata__"]["plan"])


def try_file(content: bytes, windows: np.ndarray) -> str:
    """Loads and scores what may be anything: the reason for a refusal, or "" where it was scored."""
    try:
        session = Session.parse(content)
    except ValueError as error:
        return str(error)
    if session.has_time and session.n_features == windows.shape[-1] and not session.n_steps:
        session.score(windows, session.output_names)
    return ""


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside a JSON value."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def changed(plan: Any, path: tuple[Any, ...], change: Any) -> Any:
    """The plan with one value replaced, or removed where `change` is `...`."""
    result = copy.deepcopy(plan)
    node = result
    for key in path[:-1]:
        node = node[key]
    if change is ...:
        del node[path[-1]]
    else:
        node[path[-1]] = change
    return result


@pytest.mark.parametrize("name", DESIGNS)
def test_a_path_and_the_files_content_give_the_same_scores(name: str, tmp_path: Path) -> None:
    each = design(name)
    file = tmp_path / "model.safetensors"
    file.write_bytes(each.content)
    windows = each.windows(3)
    from_path = Session.load(file).score(windows, each.outputs)
    for padding in range(4):
        # The content need not begin at a multiple of four bytes.
        content = memoryview(b"x" * padding + each.content)[padding:]
        for output, array in Session.parse(content).score(windows, each.outputs).items():
            np.testing.assert_array_equal(array, from_path[output])


def test_a_file_cut_anywhere_is_refused() -> None:
    content = design(SMALL).content
    for size in range(len(content)):
        with pytest.raises(ValueError, match=r"^model\.safetensors: "):
            Session.parse(content[:size])
    with pytest.raises(ValueError, match="the file has"):
        Session.parse(content + b"\0")


def test_a_file_with_flipped_bits_is_refused_or_scored_and_ends_nothing() -> None:
    each = design(SMALL)
    windows = each.windows(1, 5)
    generator = np.random.default_rng(0)
    (n_header,) = struct.unpack("<Q", each.content[:8])
    refused = 0
    for trial in range(3000):
        content = bytearray(each.content)
        for _ in range(generator.choice((1, 1, 2, 8))):
            end = n_header + 8 if trial % 4 else len(content)
            content[generator.integers(end)] ^= 1 << int(generator.integers(8))
        refused += try_file(bytes(content), windows) != ""
    assert 1500 < refused < 3000


@pytest.mark.parametrize("name", [SMALL, "repeat-forecast", "variational", "denoising"])
def test_every_value_of_a_plan_may_be_anything(name: str) -> None:
    each = design(name)
    plan = plan_of(each.content)
    windows = each.windows(1)
    generator = np.random.default_rng(1)
    for path in places(plan):
        for change in (..., *(_HOSTILE[index] for index in generator.choice(len(_HOSTILE), 5, replace=False))):
            message = try_file(with_plan(each.content, changed(plan, path, change)), windows)
            assert "\x1b" not in message
            assert len(message) <= 600


def test_layers_in_another_order_are_refused_or_scored() -> None:
    each = design(SMALL)
    plan = plan_of(each.content)
    windows = each.windows(1)
    generator = np.random.default_rng(2)
    for _ in range(500):
        shuffled = copy.deepcopy(plan)
        generator.shuffle(shuffled["layers"])
        del shuffled["layers"][generator.integers(1, 6) :]
        try_file(with_plan(each.content, shuffled), windows)


@pytest.mark.parametrize(
    ("path", "change", "message"),
    [
        (("schema_version",), 2, "plan: schema_version: expected 1, all that this reader knows"),
        (("layers", 0, "kind"), "gru", r"plan: layers\[0\]: the kind 'gru' is not known"),
        (("layers", 0, "hidden_size"), 7, r"plan: layers\[0\] \(bidirectional_lstm\): tensor 'encoder\.\S+' has shape .* expected \[28, 3\]"),
        (("layers", 0, "more"), 1, r"plan: layers\[0\] \(bidirectional_lstm\): the key 'more' is not known"),
        (("error",), "huber", "plan: the error 'huber' is not known"),
        (("threshold",), "nowhere", "plan: there is no tensor 'nowhere'"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_was_seen_and_where(path: tuple[Any, ...], change: Any, message: str) -> None:
    content = design(SMALL).content
    with pytest.raises(ValueError, match=rf"^model\.safetensors: {message}"):
        Session.parse(with_plan(content, changed(plan_of(content), path, change)))


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    pipe, empty, missing = tmp_path / "pipe", tmp_path / "empty", tmp_path / "missing"
    os.mkfifo(pipe)
    empty.touch()
    for path, message in (
        (pipe, "not a regular file"),
        (tmp_path, "not a regular file"),
        (empty, "0 bytes"),
        (missing, "No such file"),
    ):
        with pytest.raises(ValueError, match=message):
            Session.load(path)
    for wrong in ("a\0b", 3, None):
        with pytest.raises((ValueError, TypeError)):
            Session.load(wrong)  # type: ignore[arg-type]


def test_sizes_that_nobody_has_cost_no_memory() -> None:
    """A header of a few bytes that claims petabytes is refused before anything is made of that size."""
    for shape in ([2**40, 2**40], [2**63], [2**31, 2]):
        header = {"__metadata__": {"plan": "{}"}, "a": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4]}}
        text = json.dumps(header).encode()
        with pytest.raises(ValueError, match=r"tensor 'a'"):
            Session.parse(struct.pack("<Q", len(text)) + text + bytes(4))
    with pytest.raises(ValueError, match="the header has 18446744073709551615 bytes"):
        Session.parse(b"\xff" * 8 + bytes(100))


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
@pytest.mark.parametrize("name", DESIGNS)
def test_narrower_weights_score_as_what_they_stand_for(name: str, precision: Any) -> None:
    each = design(name)
    weights = quantise_weights(each.module, each.manifest, precision)
    rounded = Design(
        content=export_safetensors(each.module, each.manifest, weights),
        module=with_weights(each.module, weights),
        manifest=each.manifest,
        source=each.source,
    )
    assert len(rounded.content) < len(each.content)
    windows = each.windows(5)
    eager, seen = rounded.eager(windows), rounded.session(precision="float32").score(windows, each.outputs)
    error = np.maximum(1.0, eager["reconstruction_error"])
    assert (np.abs(seen["reconstruction_error"] - eager["reconstruction_error"]) <= 1e-5 * error).all()


@pytest.mark.parametrize(("precision", "kept"), [("fp16", "float16"), ("bf16", "bfloat16"), ("int8", "int8")])
def test_a_session_names_the_precision_that_most_weights_are_kept_in(precision: Any, kept: str) -> None:
    module, manifest = scorer_of(preset_checkpoint(hidden_size=32))
    plain = export_safetensors(module, manifest)
    narrow = export_safetensors(module, manifest, quantise_weights(module, manifest, precision))
    assert Session.parse(plain).precision == "float32"
    assert Session.parse(plain, precision=kept).precision == kept
    assert Session.parse(narrow).precision == kept
    assert Session.parse(narrow, precision="float32").precision == "float32"


def test_matrices_of_few_columns_stay_float32_and_the_session_says_so() -> None:
    module, manifest = scorer_of(preset_checkpoint(hidden_size=8))
    assert Session.parse(export_safetensors(module, manifest), precision="int8").precision == "float32"
