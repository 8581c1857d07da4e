"""Handwritten digits that come with scikit-learn: images of 8 by 8, nothing to download."""

from __future__ import annotations

import numpy as np

from offbeat.data import Dataset
from offbeat_training.datasets.images import image_windows


def digits(*, normal_digits: tuple[int, ...] = (0,)) -> Dataset:
    """1,797 images [window, 8, 8], each row of pixels a step, grey from 0 to 16; other digits are labelled anomalies.

    Raises ConfigurationError where `normal_digits` has anything but digits.

    Source: E. Alpaydin, C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository, 1998.
    """
    from sklearn.datasets import load_digits

    bundle = load_digits()
    images, classes = np.asarray(bundle.images), np.asarray(bundle.target)
    return image_windows("digits", images, classes, normal_digits)
