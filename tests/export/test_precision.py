from __future__ import annotations

import pytest

from offbeat.errors import ConfigurationError
from offbeat_export.precision import parse_precisions, variant_name


def test_precisions_are_repeated_flags_or_lists_with_commas_in_one_order() -> None:
    assert parse_precisions([]) == ("fp32",)
    assert parse_precisions(["int8", "fp32"]) == ("fp32", "int8")
    assert parse_precisions(["bf16, fp16", "bf16"]) == ("fp16", "bf16")


@pytest.mark.parametrize("word", ["fp64", "", "int8,", "INT8"])
def test_what_is_no_precision_is_refused_by_name(word: str) -> None:
    with pytest.raises(ConfigurationError, match="expected some of fp32, fp16, bf16, int8"):
        parse_precisions([word])


def test_a_variant_is_a_model_of_its_own() -> None:
    assert variant_name("pumps", "fp32") == "pumps"
    assert variant_name("pumps", "int8") == "pumps-int8"
