"""The data sets: read from files that are installed with the packages, without network access."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlops_lab.data.dataset import REINSTALL, Dataset, Split
from mlops_lab.errors import DataError, MissingPackage, WrongUsage, nearest
from mlops_lab.image import InputSpec

FASHION_MNIST = Path(__file__).parent / "fashion_mnist"
FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
# The SHA-256 of each file, the length of its header in bytes, and the shape of one item.
FASHION_FILES = {
    "train-images-idx3-ubyte.gz": ("b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7", 16, (28, 28)),
    "train-labels-idx1-ubyte.gz": ("0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056", 8, ()),
    "t10k-images-idx3-ubyte.gz": ("cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa", 16, (28, 28)),
    "t10k-labels-idx1-ubyte.gz": ("8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05", 8, ()),
}


def load(
    name: str = "fashion-mnist", *, limit: int | None = None, seed: int = 0, folder: Path | None = None
) -> Dataset:
    """Load a data set by name.

    Parameters
    ----------
    name
        ``"fashion-mnist"``: 60,000 + 10,000 grey images of garments, 28×28, ten classes (Zalando Research, MIT).
        ``"digits"``: 1,438 + 359 handwritten digits, 8×8, as scikit-learn ships them (UCI, CC BY 4.0).
    limit
        The number of training examples of a stratified sample, with test examples in proportion.
    seed
        The random seed of the sample.
    folder
        The folder with Fashion-MNIST's four files; by default the one in the package.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        A file is missing or damaged; the message names it.
    WrongUsage
        There is no data set of that name, or the limit is below the number of classes.

    Examples
    --------
    >>> load("digits", limit=100)
    <Dataset digits: 100 train + 25 test images of 8×8, 10 classes>
    """
    sources: dict[str, Callable[[], Dataset]] = {
        "fashion-mnist": lambda: _fashion_mnist(folder or FASHION_MNIST),
        "digits": _digits,
    }
    if name not in sources:
        raise WrongUsage(f"There is no data set {name!r}.", nearest(name, sources))
    return sources[name]().limited(limit, seed)


def _fashion_mnist(folder: Path) -> Dataset:
    # gzip releases the interpreter lock, so two threads halve the time.
    with ThreadPoolExecutor(2) as pool:
        train_images, train_labels, test_images, test_labels = pool.map(
            lambda name: _read_idx(folder / name), FASHION_FILES
        )
    return Dataset(
        name="fashion-mnist",
        classes=FASHION_CLASSES,
        train=Split(train_images, train_labels.astype(np.int64)),
        test=Split(test_images, test_labels.astype(np.int64)),
        input=InputSpec(shape=(28, 28, 1), size=(28, 28)),
        source="Fashion-MNIST, Zalando Research, MIT licence",
        task="Classify images containing articles of clothing",
    )


def _read_idx(path: Path) -> NDArray[np.uint8]:
    """Read one of the four files: the gzipped IDX format of MNIST, a short header and raw bytes."""
    digest, header, shape = FASHION_FILES[path.name]
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise DataError(f"The data file {path} cannot be read: {error.strerror}.", REINSTALL) from error
    received = hashlib.sha256(packed).hexdigest()
    if received != digest:
        message = f"The data file {path} is damaged: its SHA-256 is {received[:12]}…, not {digest[:12]}…."
        raise DataError(message, REINSTALL)
    try:
        return np.frombuffer(gzip.decompress(packed), np.uint8, offset=header).reshape(-1, *shape)
    except (EOFError, OSError, ValueError, zlib.error) as error:  # pragma: no cover - the digest has caught it
        raise DataError(f"The data file {path} cannot be decompressed: {error}.", REINSTALL) from error


def _digits() -> Dataset:
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        message = "The digits come with scikit-learn, which is not installed."
        raise MissingPackage(message, "pip install scikit-learn") from error

    bunch = load_digits()
    # The pixels are 0–16; they are scaled to 0–255 like those of all images.
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    labels = bunch.target.astype(np.int64)
    everything = Split(images, labels)
    test = np.zeros(len(everything), bool)
    test[_every_fifth(labels)] = True
    return Dataset(
        name="digits",
        classes=tuple("0123456789"),
        train=Split(images[~test], labels[~test]),
        test=Split(images[test], labels[test]),
        input=InputSpec(shape=(64,), size=(8, 8), high=16.0),
        source="Optical Recognition of Handwritten Digits, UCI, CC BY 4.0, as shipped with scikit-learn",
        task="Classify images of a handwritten digit",
        note="Most sevens of its training data have a bar through the stem; one without is often taken for a 3.",
    )


def _every_fifth(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the indices of a fifth of the examples, evenly over the classes and deterministic."""
    by_class = np.argsort(labels, kind="stable")
    return by_class[2::5]
