from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from offbeat.errors import BackendError, ConfigurationError, InvalidWindowError
from offbeat.result import DEFAULT_OUTPUTS
from offbeat.scorer import Scorer, load
from tests.runtime import folders


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scorer]:
    with load(folders.write_version(tmp_path_factory.mktemp("models"))) as opened:
        yield opened


def test_an_instruction_set_is_named_where_a_folder_is_loaded(tmp_path: Path) -> None:
    folder = folders.write_version(tmp_path)
    load(folder, isa="baseline").close()
    with pytest.raises(ConfigurationError, match="isa is 'avx1024'; expected auto, "):
        load(folder, isa="avx1024")


@pytest.mark.parametrize("n_windows", [1, 3, 512, 513, 1300])
@pytest.mark.parametrize("length", [1, 6, 20])
def test_scores_are_those_of_the_formula_at_any_batch_and_length(scorer: Scorer, n_windows: int, length: int) -> None:
    windows = folders.random_windows(n_windows, length)
    result = scorer.score(windows, folders.OUTPUTS)
    for name, expected in folders.expected_outputs(windows).items():
        np.testing.assert_allclose(result.arrays()[name], expected, rtol=1e-5, atol=1e-6)
    assert (result.model, result.version) == ("level", 1)
    assert result.backend == "onnxruntime (CPUExecutionProvider)"


def test_windows_shorter_than_the_model_takes_are_refused(scorer: Scorer) -> None:
    window = scorer.manifest.window
    assert window is not None
    picky = Scorer(replace(scorer.manifest, window=replace(window, min_length=3)), scorer.backend)
    assert len(picky.score(folders.random_windows(2, 3)).arrays()) == len(DEFAULT_OUTPUTS)
    with pytest.raises(InvalidWindowError, match="2 steps; expected at least 3"):
        picky.score(folders.random_windows(2, 2))


def test_only_the_outputs_asked_for_come_back(scorer: Scorer) -> None:
    result = scorer.score(folders.random_windows(2), ("step_error",))
    assert set(result.arrays()) == {"step_error"}
    assert result.reconstruction_error is None
    assert set(scorer.score(folders.random_windows(2)).arrays()) == set(DEFAULT_OUTPUTS)


def test_a_row_scores_the_same_alone_and_among_others(scorer: Scorer) -> None:
    windows = folders.random_windows(64)
    together = scorer.score(windows).reconstruction_error
    assert together is not None
    for index in (0, 17, 63):
        alone = scorer.score(windows[index : index + 1]).reconstruction_error
        np.testing.assert_allclose(alone, together[index : index + 1], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int32, np.uint8, np.bool_])
def test_any_real_dtype_is_taken(scorer: Scorer, dtype: type) -> None:
    windows = np.ones((2, 6, 2), dtype)
    expected = scorer.score(np.ones((2, 6, 2), np.float32)).reconstruction_error
    np.testing.assert_array_equal(scorer.score(windows).reconstruction_error, expected)


def test_lists_and_strided_and_byte_swapped_arrays_are_taken(scorer: Scorer) -> None:
    windows = folders.random_windows(8)
    expected = scorer.score(windows[::2]).reconstruction_error
    np.testing.assert_array_equal(scorer.score(windows.tolist()[::2]).reconstruction_error, expected)
    np.testing.assert_array_equal(scorer.score(np.asfortranarray(windows[::2])).reconstruction_error, expected)
    np.testing.assert_array_equal(scorer.score(windows.astype(">f4")[::2]).reconstruction_error, expected)


def with_value(value: float) -> np.ndarray:
    windows = np.zeros((3, 6, 2))
    windows[1, 2, 1] = value
    return windows


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        (np.zeros((6, 2)), r"shape \[6, 2\]; expected \[batch, time, 2\]"),
        (np.zeros((1, 1, 6, 2)), "expected"),
        (np.zeros((1, 6, 3)), r"shape \[1, 6, 3\]"),
        (np.zeros((0, 6, 2)), "at least one row"),
        (np.zeros((1, 0, 2)), "at least one row"),
        (np.float32(1), "expected"),
        (with_value(np.nan), r"1 value\(s\).*first at \[1, 2, 1\]"),
        (with_value(np.inf), r"\[1, 2, 1\]"),
        (with_value(1e300), "beyond float32"),
        (np.zeros((1, 6, 2), complex), "complex"),
        (np.full((1, 6, 2), "a"), "dtype"),
        (np.full((1, 6, 2), None), "object"),
        ([[[1.0, 2.0]], [[1.0]]], "not one array"),
        (np.ma.masked_equal(np.zeros((1, 6, 2)), 0.0), "masked array"),
    ],
)
def test_windows_that_do_not_fit_are_refused_with_what_was_seen(scorer: Scorer, windows: object, message: str) -> None:
    with pytest.raises(InvalidWindowError, match=message):
        scorer.score(windows)  # type: ignore[arg-type]


@pytest.mark.parametrize("outputs", [("verdict",), ("reconstruction_error", "reconstruction_error"), ("error_std",)])
def test_outputs_that_are_not_there_are_refused(scorer: Scorer, outputs: tuple[str, ...]) -> None:
    with pytest.raises(InvalidWindowError, match=outputs[0]):
        scorer.score(folders.random_windows(1), outputs)


def test_threads_share_a_scorer(scorer: Scorer) -> None:
    batches = [folders.random_windows(1 + seed % 7, 3 + seed % 5, seed) for seed in range(60)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(scorer.score, batches))
    for batch, result in zip(batches, results, strict=True):
        expected = folders.expected_outputs(batch)["reconstruction_error"]
        np.testing.assert_allclose(result.reconstruction_error, expected, rtol=1e-5)


@pytest.mark.parametrize("outputs", ["is_anomaly", None, 3])
def test_outputs_that_are_no_sequence_of_names_are_refused(scorer: Scorer, outputs: object) -> None:
    with pytest.raises(InvalidWindowError, match="expected a sequence of names"):
        scorer.score(folders.random_windows(1), outputs)  # type: ignore[arg-type]


def test_a_closed_scorer_says_so_and_may_be_closed_again(tmp_path: Path) -> None:
    scorer = load(folders.write_version(tmp_path))
    scorer.close()
    scorer.close()
    with pytest.raises(BackendError, match="closed"):
        scorer.score(folders.random_windows(1))
