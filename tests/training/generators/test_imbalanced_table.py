from __future__ import annotations

import numpy as np
import pytest

from offbeat.errors import ConfigurationError
from offbeat_training.generators.imbalanced_table import imbalanced_table


def test_five_in_a_hundred_rows_are_of_the_minority() -> None:
    dataset = imbalanced_table(2000)
    assert dataset.values.shape == (2000, 10)
    assert dataset.labels is not None
    assert dataset.labels.sum() == 100
    assert dataset.labels[:1000].sum() == pytest.approx(50, abs=20)


def test_each_feature_alone_looks_alike_in_both_classes() -> None:
    dataset = imbalanced_table(20_000, seed=1)
    assert dataset.labels is not None
    majority, minority = dataset.values[~dataset.labels], dataset.values[dataset.labels]
    np.testing.assert_allclose(majority.std(axis=0), minority.std(axis=0), rtol=0.12)
    np.testing.assert_allclose(majority.mean(axis=0), minority.mean(axis=0), atol=0.25)


def test_the_relation_between_the_features_is_what_gives_the_minority_away() -> None:
    dataset = imbalanced_table(4000, seed=2)
    assert dataset.labels is not None
    majority = dataset.values[~dataset.labels].astype(np.float64)
    _, _, directions = np.linalg.svd(majority - majority.mean(axis=0), full_matrices=False)
    centred = dataset.values - majority.mean(axis=0)
    error = ((centred - centred @ directions[:3].T @ directions[:3]) ** 2).sum(axis=1)
    ranks = error.argsort().argsort()
    n_minority = dataset.labels.sum()
    auc = (ranks[dataset.labels].sum() - n_minority * (n_minority - 1) / 2) / (n_minority * (4000 - n_minority))
    assert auc > 0.95


def test_the_seed_decides_everything() -> None:
    np.testing.assert_array_equal(imbalanced_table(seed=5).values, imbalanced_table(seed=5).values)
    assert (imbalanced_table(seed=5).values != imbalanced_table(seed=6).values).all()


@pytest.mark.parametrize("minority", [0.0, 1.0, -0.1, 1e-9, float("nan")])
def test_a_class_without_rows_is_refused(minority: float) -> None:
    with pytest.raises(ConfigurationError, match="minority"):
        imbalanced_table(100, minority=minority)


def test_fewer_features_than_causes_hold_no_relation() -> None:
    with pytest.raises(ConfigurationError, match="n_features is 3; expected at least 4"):
        imbalanced_table(n_features=3)
