from __future__ import annotations

import msgspec
import numpy as np
import pytest
from rich.console import Console

from offbeat_training.evaluation import Comparison, ScoreFile, compare, quality_tables
from offbeat_training.evaluation.baselines import random_scores
from offbeat_training.evaluation.comparison import flag_highest

LABELS = np.arange(20_000) % 1000 >= 900


def comparison(unit: str = "row") -> Comparison:
    scored = ScoreFile(
        name="scores.csv", unit=unit, errors=LABELS.astype(np.float32), is_flagged=LABELS, timestamps=None
    )  # type: ignore[arg-type]
    return compare(scored, LABELS, {"random scores": random_scores(LABELS.size)}, 10)


def test_the_model_comes_first_and_chance_is_worth_the_base_rate() -> None:
    model, chance = comparison().contenders
    assert (model.name, chance.name) == ("scores.csv", "random scores")
    assert model.quality.roc_auc == model.quality.f1 == model.quality.best.f1 == 1.0
    assert chance.quality.roc_auc == pytest.approx(0.5, abs=0.02)
    assert chance.quality.pr_auc == pytest.approx(0.1, abs=0.02)
    assert chance.quality.precision == pytest.approx(0.1, abs=0.02)
    assert chance.quality.best.f1 == pytest.approx(2 * 0.1 / 1.1, abs=0.02)


def test_a_baseline_flags_as_many_lines_as_the_model() -> None:
    model, chance = comparison().contenders
    assert chance.is_flagged.sum() == model.is_flagged.sum() == 2000
    assert chance.scores[chance.is_flagged].min() > chance.scores[~chance.is_flagged].max()


@pytest.mark.parametrize("n_flagged", [0, 3, 5])
def test_exactly_so_many_are_flagged_even_of_equal_scores(n_flagged: int) -> None:
    assert flag_highest(np.ones(5), n_flagged).sum() == n_flagged
    assert flag_highest(np.array([1.0, 3.0, 2.0]), 1).tolist() == [False, True, False]


def test_the_facts_hold_every_figure_with_its_parameters() -> None:
    facts = msgspec.json.decode(msgspec.json.encode(comparison().facts()))
    assert (facts["unit"], facts["n"], facts["n_anomalous"], facts["vus_window"]) == ("row", 20_000, 2000, 10)
    assert facts["range_existence_weight"] == 0.2
    for quality in facts["quality"].values():
        assert set(quality) == {
            "vus_pr", "roc_auc", "pr_auc", "best", "precision", "recall", "f1", "false_positive_rate", "confusion",
            "ranges", "affiliation", "delay",
        }  # fmt: skip
        assert quality["delay"]["n_anomalies"] == 20
        assert sum(quality["confusion"].values()) == 20_000


@pytest.mark.parametrize(("unit", "n_dashes"), [("row", 0), ("window", 14)])
def test_every_contender_stands_in_every_table(unit: str, n_dashes: int) -> None:
    tables = quality_tables(comparison(unit))
    console = Console(width=160)
    with console.capture() as shown:
        console.print(*tables)
    assert len(tables) == 3
    assert shown.get().count("random scores") == shown.get().count("scores.csv") == 3
    assert shown.get().count("–") == n_dashes
