"""Readers of the named benchmarks: from the files as their authors published them to data sets."""

from offbeat_training.datasets.closing_prices import read_closing_prices
from offbeat_training.datasets.digits import digits
from offbeat_training.datasets.ecg5000 import read_ecg5000
from offbeat_training.datasets.images import read_image_npz, read_images
from offbeat_training.datasets.nab import read_nab
from offbeat_training.datasets.skab import read_skab
from offbeat_training.datasets.smd import read_smd
from offbeat_training.datasets.train_test import TrainTest, split_rows
from offbeat_training.datasets.tsb_ad import read_tsb_ad
from offbeat_training.datasets.ucr import read_ucr

__all__ = [
    "TrainTest",
    "digits",
    "read_closing_prices",
    "read_ecg5000",
    "read_image_npz",
    "read_images",
    "read_nab",
    "read_skab",
    "read_smd",
    "read_tsb_ad",
    "read_ucr",
    "split_rows",
]
