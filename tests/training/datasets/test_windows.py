from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from offbeat.errors import ConfigurationError, DataError
from offbeat_training.datasets import digits, idx_file, read_ecg5000, read_image_npz, read_images

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
CLASSES = np.array([0, 1, 0, 9, 2], dtype=np.uint8)


def idx(array: np.ndarray, kind: int = 8) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape) + array.tobytes()


def beats(*classes: str, n_steps: int = 140) -> str:
    return "".join(f"   {name}   " + "  ".join(f"{step / 7:.4e}" for step in range(n_steps)) + "\n" for name in classes)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("is_packed", [True, False])
def test_rows_of_idx_images_become_steps(is_packed: bool, tmp_path: Path) -> None:
    pack = gzip.compress if is_packed else bytes
    # The same name for both: what the file says tells compression.
    images = write(tmp_path / "images-idx3-ubyte", pack(idx(IMAGES)))
    classes = write(tmp_path / "labels-idx1-ubyte", pack(idx(CLASSES)))
    dataset = read_images(images, classes, normal_classes=(0, 1))
    np.testing.assert_array_equal(dataset.values, IMAGES.astype(np.float32))
    assert np.asarray(dataset.labels).tolist() == [False, False, False, True, True]
    assert dataset.feature_names[-1] == "column_27"
    assert dataset.sha256 is not None
    assert read_images(images).labels is None


def test_images_of_an_npz_are_read_by_part(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", x_train=IMAGES, y_train=CLASSES, x_test=IMAGES[:2], y_test=CLASSES[:2])
    train, test = read_image_npz(tmp_path / "m.npz"), read_image_npz(tmp_path / "m.npz", "test")
    assert np.asarray(train.labels).tolist() == [False, True, False, True, True]
    assert (train.name, test.name, test.n_rows) == ("m.npz:train", "m.npz:test", 2)
    np.testing.assert_array_equal(train.values, IMAGES.astype(np.float32))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "starts with ; expected 00 00 08 03"),
        (b"PNG\r\n", "starts with 50 4e 47 0d"),
        (idx(CLASSES), "starts with 00 00 08 01; expected 00 00 08 03"),
        (idx(IMAGES, kind=13), "starts with 00 00 0d 03"),
        (idx(IMAGES)[:9], "9 bytes; expected a header of 16"),
        (idx(IMAGES)[:-1], r"3919 bytes of values; its header says \(5, 28, 28\)"),
        (idx(IMAGES) + b"x", "3921 bytes of values"),
        (struct.pack(">HBB3I", 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1), "0 bytes of values"),
        (gzip.compress(idx(IMAGES), mtime=0)[:-9], "cannot be read"),
        (gzip.compress(idx(IMAGES), mtime=0)[:40] + b"\xff" * 40, "cannot be read"),
        (struct.pack(">HBB3I", 0, 8, 3, 0, 28, 28), r"values have shape \(0, 28, 28\)"),
    ],
)
def test_a_file_that_is_no_idx_of_images_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    file = write(tmp_path / "images", content)
    with pytest.raises(DataError, match=message) as caught:
        read_images(file)
    assert "images" in str(caught.value)


def test_a_small_file_that_unpacks_to_a_huge_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx_file, "MAX_BYTES", 1000)
    with pytest.raises(DataError, match="more than 1,000 bytes unpacked"):
        read_images(write(tmp_path / "images", gzip.compress(bytes(10**6))))


def test_classes_that_do_not_fit_the_images_are_refused(tmp_path: Path) -> None:
    images, classes = write(tmp_path / "images", idx(IMAGES)), write(tmp_path / "classes", idx(CLASSES[:3]))
    with pytest.raises(DataError, match="5 images and 3 classes"):
        read_images(images, classes)
    with pytest.raises(ConfigurationError, match=r"normal_classes is \(10,\)"):
        read_images(images, normal_classes=(10,))
    with pytest.raises(ConfigurationError, match=r"normal_classes is \(\)"):
        read_images(images, normal_classes=())
    with pytest.raises(DataError, match=r"absent: cannot be read"):
        read_images(tmp_path / "absent")


def test_digits_come_with_scikit_learn() -> None:
    dataset = digits(normal_digits=(0, 8))
    assert dataset.values.shape == (1797, 8, 8)
    assert (dataset.values.min(), dataset.values.max()) == (0, 16)
    assert (~np.asarray(dataset.labels)).sum() == 178 + 174


def test_beats_are_windows_and_only_the_normal_class_is_no_anomaly(tmp_path: Path) -> None:
    file = write(tmp_path / "ECG5000_TRAIN.txt", beats("1.0000000e+00", "2", "5.0", "1"))
    dataset = read_ecg5000(file)
    assert dataset.values.shape == (4, 140, 1)
    assert dataset.values[0, 7, 0] == 1
    assert np.asarray(dataset.labels).tolist() == [False, True, True, False]
    assert np.asarray(read_ecg5000(file, normal_class=2).labels).tolist() == [True, False, True, True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (beats("1", "0"), r"line 2 \(beat 1\), column 1 is 0; expected a class from 1 to 5"),
        (beats("1", "1.5"), r"line 2 \(beat 1\), column 1 is 1\.5"),
        (beats("1", n_steps=139), "140 columns; expected a class and 140 values"),
        (beats("1") + beats("1", n_steps=100), "line 2 has 101 columns; expected 141"),
        (beats("1").replace("\n", "x\n"), "line 1, column 141 is '1.9857e.01x'; expected a finite number"),
        ("", "empty"),
        ("\ufeff", "empty"),
    ],
)
def test_what_is_no_ecg5000_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_ecg5000(write(tmp_path / "ECG5000_TEST.txt", text))
    assert "ECG5000_TEST.txt" in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="byte 2 is not text"):
        read_ecg5000(write(tmp_path / "e.txt", b"1 \xff\xfe"))
