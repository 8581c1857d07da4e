from __future__ import annotations

import os
import pickle
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from offbeat.errors import CheckpointError, ConfigurationError
from offbeat.result import Threshold
from offbeat_training import Checkpoint, checkpoint_file
from offbeat_training.preprocessing import Normalisation
from offbeat_training.record import WindowSpec
from tests.training.examples import TRAINING, series_checkpoint, tabular_checkpoint

Content = dict[str, Any]


def same(loaded: Checkpoint, checkpoint: Checkpoint) -> None:
    for field in (
        "architecture_kind", "architecture_settings", "feature_names", "window", "threshold", "training", "metrics",
        "training_config", "has_feature_names",
    ):  # fmt: skip
        assert getattr(loaded, field) == getattr(checkpoint, field)
    torch.testing.assert_close(dict(loaded.state_dict), dict(checkpoint.state_dict), rtol=0, atol=0)
    torch.testing.assert_close(loaded.validation_windows, checkpoint.validation_windows, rtol=0, atol=0)
    torch.testing.assert_close(loaded.normalisation.mean, checkpoint.normalisation.mean, rtol=0, atol=0)
    torch.testing.assert_close(loaded.normalisation.scale, checkpoint.normalisation.scale, rtol=0, atol=0)


@pytest.mark.parametrize("checkpoint", [series_checkpoint(), tabular_checkpoint()], ids=["series", "tabular"])
def test_a_checkpoint_comes_back_from_its_file_as_it_was(checkpoint: Checkpoint, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "model.ckpt")
    loaded = Checkpoint.load(tmp_path / "model.ckpt")
    same(loaded, checkpoint)
    windows = checkpoint.validation_windows
    with torch.inference_mode():
        torch.testing.assert_close(loaded.build_model()(windows), checkpoint.build_model()(windows), rtol=0, atol=0)
    assert [path.name for path in tmp_path.iterdir()] == ["model.ckpt"]


def test_the_file_is_a_dict_that_torch_loads_without_trusting_it(tmp_path: Path) -> None:
    series_checkpoint().save(tmp_path / "model.ckpt")
    content = torch.load(tmp_path / "model.ckpt", weights_only=True)
    assert (content["format"], content["schema_version"]) == ("offbeat.checkpoint", 1)


def test_a_built_model_is_in_eval_mode_and_independent_of_the_checkpoint() -> None:
    checkpoint = series_checkpoint()
    model = checkpoint.build_model()
    assert not model.training
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert all(tensor.abs().sum() > 0 for tensor in checkpoint.build_model().state_dict().values())


def test_saving_over_a_file_replaces_it_and_a_failure_leaves_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.ckpt"
    series_checkpoint(metrics={"version": 1.0}).save(path)
    series_checkpoint(metrics={"version": 2.0}).save(path)
    assert Checkpoint.load(path).metrics == {"version": 2.0}

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(CheckpointError, match="No space left"):
        series_checkpoint().save(path)
    assert Checkpoint.load(path).metrics == {"version": 2.0}
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.ckpt"]


def test_saving_into_a_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be written"):
        series_checkpoint().save(tmp_path / "nowhere" / "model.ckpt")


@pytest.mark.parametrize("exists", [True, False])
def test_saving_to_a_symbolic_link_writes_the_file_it_names_and_keeps_the_link(exists: bool, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    link, target = tmp_path / "latest.ckpt", tmp_path / "models" / "model.ckpt"
    link.symlink_to(target)
    if exists:
        target.write_bytes(b"old")
    series_checkpoint().save(link)
    assert link.is_symlink()
    same(Checkpoint.load(target), series_checkpoint())
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["latest.ckpt", "model.ckpt", "models"]


def test_saving_to_a_pipe_or_a_device_is_refused_and_leaves_it_there(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/null")
    for name, is_kept in (("pipe", Path.is_fifo), ("device", Path.is_char_device)):
        with pytest.raises(ConfigurationError, match="no regular file"):
            series_checkpoint().save(tmp_path / name)
        assert is_kept(tmp_path / name)


def nan_weights() -> dict[str, torch.Tensor]:
    state = {name: tensor.clone() for name, tensor in series_checkpoint().state_dict.items()}
    state["output.bias"][1] = float("nan")
    return state


BAD_FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown architecture": ({"architecture_kind": "oracle"}, "oracle"),
    "settings of another architecture": (
        {"architecture_settings": {"n_features": 3, "hidden_sizes": [2]}},
        "hidden_sizes",
    ),
    "settings that do not fit the weights": ({"architecture_settings": {"n_features": 3, "hidden_size": 6}}, "encoder"),
    "weights without one": ({"state_dict": {}}, "encoder.weight_ih_l0"),
    "weights that are no tensors": ({"state_dict": [1, 2]}, "state_dict"),
    "NaN weights": ({"state_dict": nan_weights()}, "output.bias"),
    "too few feature names": ({"feature_names": ("a", "b")}, "feature_names"),
    "a feature name twice": ({"feature_names": ("a", "b", "a")}, "feature_names"),
    "mean of another length": (
        {"normalisation": Normalisation(mean=torch.zeros(2), scale=torch.ones(3))},
        "normalisation.mean",
    ),
    "scale of zero": (
        {"normalisation": Normalisation(mean=torch.zeros(3), scale=torch.tensor([1.0, 0.0, 1.0]))},
        "normalisation.scale",
    ),
    "scale in double precision": (
        {"normalisation": Normalisation(mean=torch.zeros(3), scale=torch.ones(3).double())},
        "normalisation.scale",
    ),
    "no window": ({"window": None}, "window"),
    "a window of no steps": ({"window": WindowSpec(length=0, stride=1)}, "window.length"),
    "validation windows of another length": ({"window": WindowSpec(length=7, stride=1)}, "validation_windows"),
    "no validation windows": ({"validation_windows": torch.zeros(0, 6, 3)}, "validation_windows"),
    "too many validation windows": ({"validation_windows": torch.zeros(65, 6, 3)}, "validation_windows"),
    "expanded validation windows": ({"validation_windows": torch.zeros(1, 1, 1).expand(4, 6, 3)}, "validation_windows"),
    "a threshold that is a number": ({"threshold": 1.5}, "threshold"),
    "an infinite metric": ({"metrics": {"f1": float("inf")}}, "metrics.f1"),
    "a training record without a seed": (
        {"training": {key: value for key, value in TRAINING.items() if key != "seed"}},
        "seed",
    ),
    "a training record with a surprise": ({"training": {**TRAINING, "mood": "good"}}, "mood"),
    "a loss that is not a number": (
        {"training": {**TRAINING, "best_validation_loss": float("nan")}},
        "best_validation_loss",
    ),
}


@pytest.mark.parametrize("case", BAD_FIELDS)
def test_a_checkpoint_that_contradicts_itself_cannot_be_made(case: str) -> None:
    changes, named = BAD_FIELDS[case]
    with pytest.raises(CheckpointError, match=named):
        series_checkpoint(**changes)


class Code:
    """A pickle that runs something when it is loaded."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (Path.touch, (Path("pwned"),))


def without(key: str) -> Callable[[Content], Any]:
    return lambda content: {name: value for name, value in content.items() if name != key}


def having(key: str, value: object) -> Callable[[Content], Any]:
    return lambda content: {**content, key: value}


BAD_CONTENTS: dict[str, tuple[Callable[[Content], Any], str]] = {
    "no format": (without("format"), "format"),
    "another format": (having("format", "pytorch.checkpoint"), "format"),
    "a later schema": (having("schema_version", 2), "schema_version"),
    "an unknown key": (having("extra", 1), "extra"),
    "a key that is no text": (lambda content: {**content, 5: 1}, "str"),
    "no weights": (without("state_dict"), "state_dict"),
    "no normalisation": (without("normalisation"), "normalisation"),
    "normalisation with a surprise": (
        having("normalisation", {"mean": torch.zeros(3), "scale": torch.ones(3), "median": torch.ones(3)}),
        "normalisation",
    ),
    "normalisation that is a list": (having("normalisation", [0.0, 1.0]), "normalisation"),
    "weights in half precision": (
        lambda content: {
            **content,
            "state_dict": {key: value.long().float() * 0 + 1e30 for key, value in content["state_dict"].items()}
            | {"output.bias": torch.zeros(4)},
        },
        "output.bias",
    ),
    "a threshold of zero": (
        having("threshold", {"value": 0.0, "method": "fixed", "n_windows": 0, "percentile": None}),
        "threshold",
    ),
    "feature names that are numbers": (having("feature_names", [1, 2, 3]), "feature_names"),
    "settings with a tensor in them": (having("architecture_settings", {"n_features": torch.ones(3)}), "settings"),
    "settings of a gigantic module": (
        having("architecture_settings", {"n_features": 3, "hidden_size": 65_536, "n_layers": 64, "dropout": 0.0}),
        "state_dict",
    ),
    "a list": (lambda _: [1, 2, 3], "expected a dict"),
    "a tensor": (lambda _: torch.zeros(3), "expected a dict"),
    "weights of somebody": (lambda content: OrderedDict(content["state_dict"]), "says how weights trained elsewhere"),
    "the checkpoint of somebody": (
        lambda content: {"epoch": 3, "model_state_dict": content["state_dict"]},
        "its keys are epoch, model_state_dict; expected format .* says how weights trained elsewhere",
    ),
    "code": (having("metrics", Code()), "expected plain values and tensors only"),
    "an array of any size": (having("metrics", bytearray(4)), "bytearray|encode"),
    "a whole module": (having("state_dict", torch.nn.Linear(2, 2)), "Linear"),
    "a tensor in half precision": (having("validation_windows", torch.zeros(4, 6, 3).half()), "HalfStorage"),
    "a sparse tensor": (having("validation_windows", torch.zeros(4, 6, 3).to_sparse()), "sparse"),
}


@pytest.mark.parametrize("case", BAD_CONTENTS)
def test_a_file_with_bad_content_is_refused_and_runs_nothing(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    change, named = BAD_CONTENTS[case]
    series_checkpoint().save("good.ckpt")
    torch.save(change(torch.load("good.ckpt", weights_only=True)), "bad.ckpt")
    with pytest.raises(CheckpointError, match=named) as caught:
        Checkpoint.load("bad.ckpt")
    assert "bad.ckpt: " in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert not Path("pwned").exists()


def rewritten(source: Path, target: Path, change: Callable[[str, bytes], bytes], compression: int = 0) -> Path:
    """The zip with every entry's bytes changed, its sizes and checksums right again."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, change(entry.filename, old.read(entry)))
    return target


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.ckpt"
    series_checkpoint().save(path)
    return path


def refused(path: Path, named: str) -> None:
    with pytest.raises(CheckpointError, match=named) as caught:
        Checkpoint.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).count(str(path)) == 1
    assert len(str(caught.value).splitlines()) == 1


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "absent.ckpt", "No such file")
    refused(tmp_path, "Is a directory")


def test_a_pipe_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ckpt")
    refused(tmp_path / "pipe.ckpt", "not a regular file")


def test_a_file_that_changes_while_it_is_loaded_is_loaded_as_it_was_inspected(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = torch.load

    def swap_first(file: Any, **options: Any) -> Any:
        good.write_bytes(pickle.dumps(Code()))
        return load(file, **options)

    monkeypatch.setattr(torch, "load", swap_first)
    same(Checkpoint.load(good), series_checkpoint())


def test_a_file_of_absurd_size_is_refused(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_file, "MAX_FILE_BYTES", 100)
    refused(good, "more than 100 bytes")


@pytest.mark.parametrize("part", [0, 0.01, 0.3, 0.7, 0.99])
def test_a_truncated_file_is_refused(part: float, good: Path) -> None:
    content = good.read_bytes()
    good.write_bytes(content[: int(len(content) * part)])
    refused(good, "truncated")


def test_a_bare_pickle_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bare.ckpt"
    path.write_bytes(pickle.dumps(Code()))
    refused(path, "zip format")
    assert not Path("pwned").exists()


@settings(max_examples=200)
@given(position=st.floats(0, 1, exclude_max=True), flipped=st.integers(1, 255))
def test_a_file_with_a_flipped_byte_is_refused_or_holds_exactly_the_same(position: float, flipped: int) -> None:
    checkpoint = series_checkpoint()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.ckpt"
        checkpoint.save(path)
        content = bytearray(path.read_bytes())
        content[int(position * len(content))] ^= flipped
        path.write_bytes(content)
        try:
            loaded = Checkpoint.load(path)
        except CheckpointError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017
            return
    same(loaded, checkpoint)


def test_a_flipped_byte_of_a_weight_is_refused_and_names_the_member(good: Path) -> None:
    content = good.read_bytes()
    weights = series_checkpoint().state_dict["encoder.weight_ih_l0"].numpy().tobytes()
    assert content.count(weights) == 1
    good.write_bytes(content.replace(weights, weights[:-1] + bytes([weights[-1] ^ 1])))
    refused(good, r"entry '\S+/data/\d+' does not match its checksum")


def test_an_entry_marked_as_a_folder_is_refused(good: Path, tmp_path: Path) -> None:
    marked = tmp_path / "marked.ckpt"
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(marked, "w") as new:
        for entry in old.infolist():
            entry.external_attr |= 0x10 * entry.filename.endswith("/data/3")
            new.writestr(entry, old.read(entry.filename))
    refused(marked, r"entry '\S+/data/3' is marked as a folder; expected files only")


def test_two_entries_of_one_name_are_refused(good: Path, tmp_path: Path) -> None:
    twice = tmp_path / "twice.ckpt"
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(twice, "w") as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
        new.writestr(old.infolist()[0].filename.replace("data.pkl", "DATA.PKL"), b"x")
    refused(twice, "of the same name")


def test_a_zip_bomb_is_refused_before_it_unpacks(good: Path, tmp_path: Path) -> None:
    zeros = bytes(50 * 2**20)
    bomb = rewritten(good, tmp_path / "bomb.ckpt", lambda _, __: zeros, zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 2**21 + 2**20
    refused(bomb, "unpacks to")


def test_a_pickle_that_is_too_large_is_refused(good: Path, tmp_path: Path) -> None:
    large = rewritten(good, tmp_path / "large.ckpt", lambda name, old: old * 10_000 if name.endswith(".pkl") else old)
    refused(large, "data.pkl is")


def test_a_tensor_that_claims_more_elements_than_its_bytes_is_refused(good: Path, tmp_path: Path) -> None:
    short = rewritten(good, tmp_path / "short.ckpt", lambda name, old: old[:-4] if "/data/" in name else old)
    refused(short, "claims")


def test_a_tensor_without_its_bytes_is_refused(good: Path, tmp_path: Path) -> None:
    lost = tmp_path / "lost.ckpt"
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(lost, "w") as new:
        for entry in old.infolist():
            if not entry.filename.endswith("data/3"):
                new.writestr(entry.filename, old.read(entry))
    refused(lost, "data/3")


@pytest.mark.parametrize("pickled", [b"", b"garbage", b"\x80\x02", b"\x80\x02(((((.", b"\x80\x02]q\x00h\x00\x86R."])
def test_a_damaged_pickle_is_refused(pickled: bytes, good: Path, tmp_path: Path) -> None:
    damaged = rewritten(good, tmp_path / "d.ckpt", lambda name, old: pickled if name.endswith(".pkl") else old)
    refused(damaged, "d.ckpt")


def test_code_hidden_behind_a_name_that_torch_allows_is_refused(good: Path, tmp_path: Path) -> None:
    evil = pickle.dumps({"format": OrderedDict(), "x": Code()}, protocol=2)
    path = rewritten(good, tmp_path / "evil.ckpt", lambda name, old: evil if name.endswith(".pkl") else old)
    refused(path, "plain values and tensors only")


def test_a_scripted_module_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))
    refused(path, "pickles|entries")


def test_a_threshold_keeps_how_it_was_chosen(tmp_path: Path) -> None:
    fixed = Threshold(value=2.5, method="fixed")
    series_checkpoint(threshold=fixed).save(tmp_path / "model.ckpt")
    assert Checkpoint.load(tmp_path / "model.ckpt").threshold == fixed
