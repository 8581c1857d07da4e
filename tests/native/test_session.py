from __future__ import annotations

import timeit
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from offbeat.bundle import Golden
from offbeat.native import Session
from offbeat.result import DEFAULT_OUTPUTS
from tests.native.designs import DESIGNS, ISAS, design

SERIES = "flexible, bidirectional"
ERROR = "reconstruction_error"


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", DESIGNS)
def test_golden_windows_replay_within_the_formats_bounds(name: str, isa: str) -> None:
    each = design(name)
    golden = each.golden()
    session = each.session(isa=isa)
    assert session.isa == isa
    deviation, output = golden.largest_deviation(each.manifest, session.score(golden.window, each.outputs))
    assert deviation <= 1.0, output


@pytest.mark.parametrize("name", DESIGNS)
def test_every_case_of_an_exports_parity_is_within_the_bounds(name: str) -> None:
    each = design(name)
    session = each.session()
    for case in each.cases():
        eager = Golden(window=case.window, outputs=each.eager(case.window))
        deviation, output = eager.largest_deviation(
            each.manifest, session.score(np.ascontiguousarray(case.window), each.outputs)
        )
        assert deviation <= 1.0, (case.name, output)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", DESIGNS)
def test_a_rows_scores_are_the_same_bits_in_every_batch(name: str, isa: str) -> None:
    each = design(name)
    session = each.session(isa=isa)
    windows = each.windows(37)
    together = session.score(windows, each.outputs)
    for start, end in ((0, 1), (36, 37), (3, 5), (1, 18), (20, 37)):
        apart = session.score(windows[start:end], each.outputs)
        for output in each.outputs:
            np.testing.assert_array_equal(apart[output], together[output][start:end], err_msg=output)


@pytest.mark.parametrize("name", [SERIES, "variational"])
def test_threads_that_split_a_batch_change_no_bit(name: str) -> None:
    each = design(name)
    windows = each.windows(600)
    one, three = (each.session(n_threads=n).score(windows, each.outputs) for n in (1, 3))
    for output in each.outputs:
        np.testing.assert_array_equal(three[output], one[output])


@pytest.mark.parametrize("name", DESIGNS)
def test_instruction_sets_agree_to_a_millionth(name: str) -> None:
    each = design(name)
    windows = each.windows(19)
    errors = [each.session(isa=isa).score(windows, (ERROR,))[ERROR] for isa in ISAS]
    for other in errors[1:]:
        np.testing.assert_allclose(other, errors[0], rtol=1e-6)


@pytest.mark.parametrize("name", DESIGNS)
def test_an_output_alone_is_that_of_all_together(name: str) -> None:
    each = design(name)
    session = each.session()
    assert set(session.output_names) == set(each.outputs)
    windows = each.windows(9)
    together = session.score(windows, each.outputs)
    for output in each.outputs:
        alone = session.score(windows, (output,))
        assert list(alone) == [output]
        np.testing.assert_array_equal(alone[output], together[output])
    assert session.score(windows, ()) == {}


def test_threads_may_score_on_one_session_at_the_same_time() -> None:
    each = design(SERIES)
    session = each.session()
    batches = [each.windows(n, length, seed=n) for n, length in ((1, 12), (40, 90), (3, 200), (200, 30))]
    expected = [session.score(batch, (ERROR,))[ERROR] for batch in batches]
    fresh = each.session()

    def score(index: int) -> None:
        for _ in range(10):
            seen = fresh.score(batches[index % 4], (ERROR,))[ERROR]
            np.testing.assert_array_equal(seen, expected[index % 4])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(score, range(8)))


def test_given_arrays_are_filled_and_nothing_else() -> None:
    each = design(SERIES)
    session, windows = each.session(), each.windows(4)
    expected = session.score(windows, each.outputs)
    given = {name: np.full((6, *array.shape[1:]), 7, array.dtype) for name, array in expected.items()}
    session.score_into(windows, {name: array[1:5] for name, array in given.items()})
    for name, array in given.items():
        np.testing.assert_array_equal(array[1:5], expected[name])
        np.testing.assert_array_equal(array[[0, 5]], np.full_like(array[[0, 5]], 7))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.empty(3, np.float32), r"expected an aligned 'f' \[4\]"),
        (np.empty((4, 1), np.float32), r"expected an aligned 'f' \[4\]"),
        (np.empty(4, np.float64), r"'d' \[4\]; expected an aligned 'f' \[4\]"),
        (np.empty(8, np.float32)[::2], "C-contiguous array that may be written"),
        (np.frombuffer(bytes(16), np.float32), "C-contiguous array that may be written"),
        (np.frombuffer(bytearray(17), np.float32, 4, 1), "expected an aligned"),
        (None, "C-contiguous array that may be written"),
    ],
)
def test_given_arrays_that_do_not_fit_are_refused(array, message: str) -> None:
    each = design(SERIES)
    with pytest.raises((ValueError, TypeError), match=message):
        each.session().score_into(each.windows(4), {ERROR: array})


def test_read_only_and_unaligned_windows_are_scored() -> None:
    each = design(SERIES)
    session, windows = each.session(), each.windows(4)
    expected = session.score(windows, (ERROR,))[ERROR]
    frozen = np.frombuffer(windows.tobytes(), np.float32).reshape(windows.shape)
    unaligned = np.frombuffer(b"x" + windows.tobytes(), np.float32, offset=1).reshape(windows.shape)
    assert not frozen.flags.writeable
    assert not unaligned.flags.aligned
    for each_form in (frozen, unaligned):
        np.testing.assert_array_equal(session.score(each_form, (ERROR,))[ERROR], expected)


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        (
            np.zeros((1, 12, 3), np.float64),
            r"windows are 'd' \[1, 12, 3\]; expected 'f' \(float32\) \[batch, time, 3\]",
        ),
        (np.zeros((1, 12, 4), np.float32), r"windows are 'f' \[1, 12, 4\]"),
        (np.zeros((12, 3), np.float32), r"windows are 'f' \[12, 3\]"),
        (np.zeros((1, 12, 3), ">f4"), "windows are '>f'"),
        (np.zeros((1, 12, 6), np.float32)[..., ::2], "windows: expected a C-contiguous array"),
        ([[1.0]], "windows: expected a C-contiguous array"),
        (np.zeros((1, 0, 3), np.float32), "windows have 0 steps; expected at least 1"),
        (np.full((1, 12, 3), np.nan, np.float32), "NaN or infinity"),
        (np.full((1, 12, 3), np.inf, np.float32), "NaN or infinity"),
        (np.full((1, 12, 3), -np.inf, np.float32), "NaN or infinity"),
    ],
)
def test_windows_that_do_not_fit_are_refused(windows, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        design(SERIES).session().score(windows, (ERROR,))


def test_one_value_that_is_not_finite_is_seen_wherever_it_is() -> None:
    session = design(SERIES).session()
    windows = design(SERIES).windows(50, 30)
    flat = windows.reshape(-1)
    for index in (0, 1, 1023, 1024, 1025, flat.size - 1):
        kept, flat[index] = flat[index], np.nan
        with pytest.raises(ValueError, match="NaN or infinity"):
            session.score(windows, (ERROR,))
        flat[index] = kept
    session.score(windows, (ERROR,))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", DESIGNS)
def test_values_that_overflow_are_never_called_normal(name: str, isa: str) -> None:
    session = design(name).session(isa=isa)
    windows = np.full_like(design(name).windows(16), 3e38)
    windows[1] *= -1
    windows[2:] *= np.random.default_rng(0).choice([-1, 1], windows[2:].shape)
    result = session.score(windows, design(name).outputs)
    assert result["is_anomaly"].all()
    assert (result["anomaly_score"] == 1).all()
    for output in {ERROR, "feature_error", "step_error", "error_std"} & result.keys():
        assert not np.isnan(result[output]).any(), output
    assert (result[ERROR] > 1e30).all()


def test_outputs_that_the_model_does_not_have_are_refused() -> None:
    session, windows = design(SERIES).session(), design(SERIES).windows(1)
    for name in ("forecast", "class_probability", "error_std", "nothing", "", 3, b"is_anomaly", "\ud800"):
        with pytest.raises(ValueError, match="this model has reconstruction_error, "):
            session.score(windows, (name,))
    with pytest.raises(ValueError, match="at most once"):
        session.score(windows, (ERROR, ERROR))
    with pytest.raises(TypeError, match="sequence of names"):
        session.score(windows, 3)


def test_no_windows_give_empty_outputs() -> None:
    each = design(SERIES)
    for name, array in each.session().score(each.windows(0), each.outputs).items():
        assert array.shape[0] == 0, name


def test_a_session_that_is_unknown_to_this_processor_or_program_is_refused() -> None:
    content = design(SERIES).content
    with pytest.raises(ValueError, match="isa9000"):
        Session.parse(content, isa="isa9000")
    with pytest.raises(ValueError, match="precision is 'int4'; expected stored"):
        Session.parse(content, precision="int4")
    with pytest.raises((ValueError, TypeError)):
        Session.parse(content, n_threads=-1)
    for n_threads in (0, 1025, 2**63):
        with pytest.raises(ValueError, match=f"{n_threads} threads; expected 1 to 1024"):
            Session.parse(content, n_threads=n_threads)
    assert Session.parse(content, n_threads=1024).n_features == 3


def test_the_model_is_described() -> None:
    each = design(SERIES)
    session = each.session()
    assert (session.n_features, session.has_time, session.n_steps) == (3, True, 0)
    assert session.threshold == float(np.float32(each.manifest.threshold.value))
    assert session.n_parameters == each.manifest.architecture.n_parameters + 2 * 3 + 1
    fixed = design("denoising").session()
    assert fixed.n_steps == design("denoising").manifest.window.length


def test_a_call_from_python_costs_a_microsecond_or_two() -> None:
    """The smallest model, one window: what is left is the call. Ten times the usual figure, for slow and busy machines."""
    session = design("table, 1 feature").session()
    window = np.zeros((1, 1), np.float32)
    calls = timeit.repeat(lambda: session.score(window, DEFAULT_OUTPUTS), number=200, repeat=50)
    assert min(calls) / 200 < 10e-6
