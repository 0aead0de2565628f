import gzip
import shutil
import sys

import numpy as np
import pytest

from mlops_lab import data
from mlops_lab.data import sources
from mlops_lab.errors import DataError, MissingPackage, WrongUsage


@pytest.fixture(scope="module")
def fashion():
    return data.load("fashion-mnist")


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(sources.FASHION_MNIST, tmp_path / "fashion_mnist")


def test_fashion_mnist_is_whole(fashion):
    assert fashion.train.images.shape == (60_000, 28, 28)
    assert fashion.test.images.shape == (10_000, 28, 28)
    assert np.bincount(fashion.train.labels).tolist() == [6000] * 10
    assert np.bincount(fashion.test.labels).tolist() == [1000] * 10
    assert fashion.train.images.dtype == np.uint8


def test_its_classes_are_in_order(fashion):
    assert fashion.classes[0] == "T-shirt/top"
    assert fashion.classes[fashion.test.labels[0]] == "Ankle boot"
    assert len(fashion.classes) == 10


def test_a_limit_is_stratified_and_decided_by_its_seed(fashion):
    one, again = data.load(limit=1000, seed=3), data.load(limit=1000, seed=3)
    assert np.bincount(one.train.labels).tolist() == [100] * 10
    assert np.bincount(one.test.labels).tolist() == [17] * 7 + [16] * 3
    assert np.array_equal(one.train.images, again.train.images)
    assert one.checksum != data.load(limit=1000, seed=4).checksum


def test_the_digits_do_not_overlap(digits):
    assert (len(digits.train), len(digits.test)) == (1438, 359)
    assert np.bincount(digits.test.labels).min() >= 34
    assert digits.train.images.max() == 255


def test_the_digits_become_what_scikit_learn_has(digits):
    from sklearn.datasets import load_digits

    from mlops_lab.image import to_input

    ours = {row.tobytes() for row in np.rint(to_input(digits.test.images, digits.input)).astype(np.uint8)}
    theirs = {row.tobytes() for row in load_digits().data.astype(np.uint8)}
    assert ours <= theirs


def test_no_data_set_of_that_name():
    with pytest.raises(WrongUsage, match="Did you mean 'fashion-mnist'"):
        data.load("fashion_mnist")


@pytest.mark.parametrize("name", sources.FASHION_FILES)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(DataError, match=name) as caught:
        data.load(folder=folder)
    assert "pip install" in caught.value.hint


@pytest.mark.parametrize("name", sources.FASHION_FILES)
def test_one_flipped_bit_is_noticed(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name} is damaged"):
        data.load(folder=folder)


@pytest.mark.parametrize("length", [0, 1, 10, 5000])
def test_a_truncated_file_is_noticed(folder, length):
    path = folder / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match="damaged"):
        data.load(folder=folder)


def test_other_data_in_good_gzip_are_noticed(folder):
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(10_008)))
    with pytest.raises(DataError, match="SHA-256"):
        data.load(folder=folder)


def test_a_folder_in_place_of_a_file(folder):
    path = folder / "t10k-labels-idx1-ubyte.gz"
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        data.load(folder=folder)


def test_no_folder_at_all(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        data.load(folder=tmp_path / "nowhere")


def test_the_licence_lies_beside_the_data():
    assert "MIT" in (sources.FASHION_MNIST / "LICENSE").read_text()


def test_without_scikit_learn_the_install_line_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingPackage, match="pip install scikit-learn"):
        data.load("digits")
