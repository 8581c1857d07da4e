from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from offbeat.bench.statistics import Array, Change, block_length, can_tell, centre, condensed, estimate_change, typical

N_ROUNDS = 80


def two_speeds(random: np.random.Generator, n_rounds: int) -> Array:
    """How slow a core is [round]: it changes between two speeds, 1.8 times apart, and stays for dozens of rounds."""
    is_slow = np.logical_xor.accumulate(random.random(n_rounds) < 0.03) ^ (random.random() < 0.5)
    return np.where(is_slow, 1.8, 1.0)


def measure(random: np.random.Generator, slowdown: float = 1.0, n_processes: int = 3) -> list[Array]:
    """Logarithms of ratios: the reference feels the speed almost as much, some rounds are interrupted, processes differ a little."""
    runs = []
    for _ in range(n_processes):
        speed = two_speeds(random, N_ROUNDS)
        time = slowdown * speed * np.exp(random.normal(0, 0.03, N_ROUNDS) + random.normal(0, 0.01))
        time[random.random(N_ROUNDS) < 0.1] *= 2.5
        runs.append(np.log(time / (speed**0.95 * np.exp(random.normal(0, 0.03, N_ROUNDS)))))
    return runs


def change(a: list[Array], b: list[Array], threshold: float = 0.05) -> Change:
    return estimate_change(a, b, threshold=threshold, confidence=0.99)


@pytest.mark.parametrize(("slowdown", "is_caught"), [(1.0, False), (1.2, True)])
def test_on_a_machine_with_two_speeds_a_fifth_more_is_caught_and_no_change_passes(
    slowdown: float, is_caught: bool
) -> None:
    random = np.random.default_rng(5)
    verdicts = [change(measure(random), measure(random, slowdown)).low > 0.05 for _ in range(20)]
    assert np.mean([verdict == is_caught for verdict in verdicts]) >= 0.95


def test_without_the_reference_the_speeds_alone_look_like_a_change() -> None:
    """What the ratio is for: the seconds of a slow day are those of a slow change."""
    random = np.random.default_rng(1)
    fast, slow = (np.log(np.full(N_ROUNDS, s) * np.exp(random.normal(0, 0.03, N_ROUNDS))) for s in (1.0, 1.8))
    assert change([fast], [slow]).low > 0.7


def test_the_interval_covers_the_true_change_as_often_as_it_says() -> None:
    random = np.random.default_rng(2)
    found = [change(measure(random, n_processes=5), measure(random, 1.1, 5)) for _ in range(20)]
    covered = np.mean([each.low <= 0.1 <= each.high for each in found])
    assert covered >= 0.95
    assert np.mean([each.high - each.low for each in found]) < 0.15


def test_rounds_that_follow_each_other_alike_count_for_less() -> None:
    random = np.random.default_rng(3)
    independent = random.normal(0, 0.1, 400)
    slowly = np.repeat(random.normal(0, 0.1, 20), 20)
    assert block_length(independent) <= 3
    assert block_length(slowly) >= 15
    widths = [found.high - found.low for found in (change([run], [run]) for run in (independent, slowly))]
    assert widths[1] > 2 * widths[0]


def test_processes_that_differ_widen_the_interval_although_their_rounds_agree() -> None:
    alike = [np.zeros(50)] * 3
    apart = [np.full(50, shift) for shift in (-0.1, 0.0, 0.1)]
    assert change(alike, alike).high == 0.0
    assert change(apart, apart).high > 0.05


def test_one_interrupted_round_changes_nothing() -> None:
    run = np.zeros(31)
    run[4] = 9.0
    assert centre([run]) == 0.0
    assert change([np.zeros(31)], [run]).change == 0.0


def test_how_surely_is_the_share_of_resamples_beyond_the_threshold() -> None:
    random = np.random.default_rng(4)
    a, b = (measure(random, slowdown) for slowdown in (1.0, 1.2))
    assert change(a, b, threshold=0.05).surely > 0.999
    assert change(a, b, threshold=0.5).surely == 0.0
    assert 0.2 < change(a, b, threshold=change(a, b).change).surely < 0.8


def test_a_single_round_is_compared_with_no_interval_at_all() -> None:
    found = change([np.array([0.0])], [np.array([0.1])])
    assert found.low == found.high == pytest.approx(np.expm1(0.1))


def test_a_limit_takes_as_many_rounds_as_its_confidence_over_all_processes() -> None:
    """All of four rounds lie on one side of the median in one sample of sixteen, of five in one of 32."""
    assert not can_tell([np.zeros(4)], 0.95)
    assert can_tell([np.zeros(5)], 0.95)
    assert can_tell([np.zeros(2), np.zeros(3)], 0.95)
    assert not can_tell([np.zeros(5)], 0.99)


def test_a_long_run_is_condensed_to_an_odd_number_of_rounds_each_and_keeps_its_median() -> None:
    random = np.random.default_rng(9)
    skewed = random.exponential(1.0, 200_000)
    groups = condensed(skewed)
    assert groups.size == 200_000 // 201
    assert np.median(groups) == pytest.approx(np.median(skewed), rel=0.01)
    np.testing.assert_array_equal(condensed(skewed[:1000]), skewed[:1000])
    assert groups[0] == np.median(skewed[:201])


def test_hundreds_of_thousands_of_rounds_take_as_little_memory_as_a_thousand() -> None:
    random = np.random.default_rng(10)
    a, b = random.normal(0, 0.1, 300_000), random.normal(0.1, 0.1, 300_000)
    tracemalloc.start()
    found = estimate_change([a], [b], threshold=0.05, confidence=0.999)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.low > 0.05
    assert found.change == pytest.approx(np.expm1(0.1), abs=0.002)
    assert peak < 100 * 2**20


def test_one_process_of_five_that_was_slowed_as_a_whole_hides_no_change() -> None:
    random = np.random.default_rng(8)
    a, b = measure(random, n_processes=5), measure(random, 1.2, 5)
    a[3] += 1.6
    found = change(a, b)
    assert found.low > 0.05
    assert found.n_left_out == 1
    assert change(b, a).high < 0.0


def test_two_of_five_that_are_slow_count_as_they_are() -> None:
    runs = [np.full(20, middle) for middle in (0.0, 0.3, 0.0, 0.3, 0.0)]
    assert len(typical(runs)) == 5
    assert change(runs, runs).high > 0.05


def test_the_same_samples_give_the_same_answer() -> None:
    random = np.random.default_rng(6)
    a, b = measure(random), measure(random)
    assert change(a, b) == change(a, b)
