from __future__ import annotations

import json
from typing import Any

import pytest

from offbeat.bundle.multiply_adds import MultiplyAdds, count_multiply_adds
from offbeat.errors import BundleError

Layer = dict[str, Any]


def lstm(input_size: int, hidden_size: int, kind: str = "lstm") -> Layer:
    return {"kind": kind, "input_size": input_size, "hidden_size": hidden_size, "weight_input": "any name"}


def linear(input_size: int, output_size: int) -> Layer:
    return {"kind": "linear", "input_size": input_size, "output_size": output_size}


def kind(name: str, **fields: Any) -> Layer:
    return {"kind": name, **fields}


def count(n_features: int, *layers: Layer, time: tuple[Any, ...] = ("time",)) -> MultiplyAdds:
    plan = {"input": {"name": "window", "shape": ["batch", *time, n_features]}, "layers": layers, "error": "any"}
    return count_multiply_adds(json.dumps(plan), "here")


LAST, REPEAT, RELU = kind("last_step"), kind("repeat"), kind("relu")


@pytest.mark.parametrize(
    ("products", "n_steps", "expected"),
    [
        (count(1, lstm(1, 32), LAST, REPEAT, lstm(32, 32), linear(32, 1)), 50, 421_746),
        (count(2, lstm(2, 32), lstm(32, 32), kind("zeros", size=2), lstm(2, 32), lstm(32, 32), linear(32, 2)), 60, 1_493_880),
        (count(1, lstm(1, 64), lstm(64, 32), LAST, REPEAT, lstm(32, 32), lstm(32, 64), linear(64, 1)), 140, 8_077_196),
        (
            count(25, lstm(25, 256), lstm(256, 256), LAST, REPEAT, lstm(256, 256), lstm(256, 256), linear(256, 25)),
            100,
            160_751_044,
        ),
        (
            count(
                30,
                *(linear(30, 128), RELU, linear(128, 64), RELU, linear(64, 16)),
                *(linear(16, 64), RELU, linear(64, 128), RELU, linear(128, 30)),
                time=(),
            ),
            1,
            26_142,
        ),
    ],
    ids=["M1", "M2", "M3", "M4", "M5"],
)  # fmt: skip
def test_the_models_of_the_design_need_the_products_it_says(
    products: MultiplyAdds, n_steps: int, expected: int
) -> None:
    assert products.of(n_steps) == expected


def test_a_bidirectional_layer_counts_twice_and_dense_states_once() -> None:
    dense = kind("dense_state", input_size=6, output_size=2)
    bidirectional = lstm(1, 3, "bidirectional_lstm")
    found = count(1, bidirectional, dense, kind("hidden_state", state="x"), REPEAT, linear(2, 1))
    assert found == MultiplyAdds(per_window=2 * 6 * 2 + 2, per_step=2 * 4 * 3 * (1 + 3) + 1)


def test_a_fixed_number_of_repeats_does_not_grow_with_the_window() -> None:
    repeat = kind("repeat", n_repeats=7)
    assert count(2, lstm(2, 1), LAST, repeat, lstm(1, 1), linear(1, 2), time=(10,)) == MultiplyAdds(
        per_window=10 * 4 * 3 + 4 + 7 * 4 + 7 * 2 + 7 * 2
    )


def test_layers_behind_draws_count_for_each_draw() -> None:
    draws = kind("gaussian_draws", input_size=4, output_size=2, n_draws=10)
    found = count(3, linear(3, 4), RELU, draws, linear(2, 3), time=())
    assert found == MultiplyAdds(per_window=3 * 4 + 2 * 4 * 2 + 10 * 2 * 3 + 10 * 3)


def test_a_flattened_window_is_multiplied_at_once_and_a_sum_costs_nothing() -> None:
    layers = (
        kind("flatten"),
        linear(15, 4),
        {"kind": "keep", "name": "x"},
        linear(4, 15),
        {"kind": "add", "name": "x"},
    )
    found = count(3, *layers, kind("unflatten", n_steps=5), time=(5,))
    assert found == MultiplyAdds(per_window=15 * 4 + 4 * 15 + 15)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ("", "not a readable layer plan"),
        ("[" * 100_000, "not a readable layer plan"),
        ("{}", "input"),
        ('{"input": {"shape": []}, "layers": []}', r"takes \[\]"),
        ('{"input": {"shape": ["batch", "time", "time", 3]}, "layers": []}', "takes"),
        ('{"input": {"shape": ["batch", -1]}, "layers": []}', "shape"),
        ('{"input": {"shape": ["batch", 1]}, "layers": [{"kind": "magic"}]}', "kind 'magic', which cannot be counted"),
        ('{"input": {"shape": ["batch", 1]}, "layers": [{"kind": "lstm", "hidden_size": 1e300}]}', "hidden_size"),
        ('{"input": {"shape": ["batch", 1]}, "layers": [{"kind": "lstm", "hidden_size": ' + "9" * 99 + "}]}", "here"),
    ],
)
def test_a_plan_that_is_none_is_refused(plan: str, message: str) -> None:
    with pytest.raises(BundleError, match=message) as caught:
        count_multiply_adds(plan, "here")
    assert str(caught.value).startswith("here: ")
