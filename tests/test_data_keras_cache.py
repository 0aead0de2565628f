import os
import subprocess
import sys

import pytest

from mlops_lab import data
from mlops_lab.data import keras_cache, sources
from mlops_lab.errors import DataError

LABELS = "t10k-labels-idx1-ubyte.gz"


@pytest.fixture
def small(monkeypatch):
    """The two files with labels only: they are enough to see what is copied and what is kept."""
    files = {name: facts for name, facts in sources.FASHION_FILES.items() if "labels" in name}
    monkeypatch.setattr(keras_cache, "FASHION_FILES", files)


def test_the_files_stand_where_keras_looks(small, tmp_path):
    place = data.fill_keras_cache(tmp_path)
    assert place == tmp_path / "datasets" / "fashion-mnist"
    assert sorted(path.name for path in place.iterdir()) == [LABELS, "train-labels-idx1-ubyte.gz"]
    assert (place / LABELS).read_bytes() == (sources.FASHION_MNIST / LABELS).read_bytes()


def test_a_whole_file_is_kept_and_a_damaged_one_replaced(small, tmp_path):
    place = data.fill_keras_cache(tmp_path)
    whole, damaged = place / LABELS, place / "train-labels-idx1-ubyte.gz"
    damaged.write_bytes(damaged.read_bytes()[:1000])  # as an interrupted download leaves it
    before = whole.stat()
    data.fill_keras_cache(tmp_path)
    assert (whole.stat().st_ino, whole.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert damaged.read_bytes() == (sources.FASHION_MNIST / damaged.name).read_bytes()


def test_keras_home_decides(small, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "of" / "keras"))
    assert data.fill_keras_cache().is_relative_to(tmp_path / "of" / "keras")


def test_a_folder_that_cannot_be_written(small, tmp_path):
    (tmp_path / "datasets").write_text("a file where a folder should be")
    with pytest.raises(DataError, match="cannot be written"):
        data.fill_keras_cache(tmp_path)


def test_a_damaged_package_is_not_copied(small, tmp_path, monkeypatch):
    monkeypatch.setattr(keras_cache, "FASHION_MNIST", tmp_path)
    with pytest.raises(DataError, match="missing or damaged"):
        data.fill_keras_cache(tmp_path / "keras")
    assert not list((tmp_path / "keras/datasets/fashion-mnist").iterdir())


@pytest.mark.tensorflow
def test_keras_loads_fashion_mnist_without_a_network(tmp_path):
    """In a process whose every connection fails."""
    code = (
        "from mlops_lab import data\n"
        "data.fill_keras_cache()\n"
        "import socket\n"
        "def refuse(*arguments, **options): raise AssertionError('a connection')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from tensorflow.keras.datasets import fashion_mnist\n"
        "(x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()\n"
        "dataset = data.load('fashion-mnist')\n"
        "assert (x_train == dataset.train.images).all() and (y_test == dataset.test.labels).all()\n"
        "print(x_train.shape, x_test.shape)\n"
    )
    environment = {**os.environ, "KERAS_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "(60000, 28, 28) (10000, 28, 28)\n"
